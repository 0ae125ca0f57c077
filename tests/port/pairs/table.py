"""The planted pairs: for each architecture its factories, the input, and the faults with their names.

A pair without a fault is the right twin. A fault maps to a pattern that a cause in the report must fit, so
that the pair counts as named. Optimizers are given as expressions, of which files are made.
"""

import re
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
IMAGE, TOKENS = {"inputs": (8, 8, 3)}, {"inputs": (8,), "maximum": 11}


class Pair(NamedTuple):
    """Two targets with their arguments, what goes in, and the pattern that a right cause fits."""

    name: str
    a: str
    b: str
    arguments_a: dict
    arguments_b: dict
    inputs: tuple
    maximum: int
    named: str | None

    def is_named(self, lines):
        """Whether one of the causes, as text, is the right one."""
        return any(re.search(self.named, line, re.IGNORECASE) for line in lines)


#: Of each architecture: the input, and what names each fault.
ARCHITECTURES = {
    "branches": ({"inputs": (6,)}, {"order": "order|exchange"}),
    "swiglu": ({"inputs": (8,)}, {"halves": "exchange|halves"}),
    "clipped": ({"inputs": (6,)}, {"no limit": "relu6 against relu|limit"}),
    "gated_steps": ({"inputs": (6, 4)}, {"halves": "exchange"}),
    "squeeze": (IMAGE, {"slope": r"0\.166667 against 0\.2|hard.sigmoid"}),
    "prenorm": ({"inputs": (8,)}, {"after": "^order.*norm"}),
    "gemma_norm": ({"inputs": (8,)}, {"one missing": r"add 1\b|offset|1 against 0"}),
    "heads": ({"inputs": (6,)}, {"doubled": "extra call.*(add|slice)"}),
    "nested": ({"inputs": (6,)}, {"tanh": "extra call.*tanh"}),
    "two_faults": ({"inputs": (8,)}, {"both": "GELU"}),
    "scaled_embedding": (TOKENS, {"scale missing": "(missing call|factor|constant).* 4"}),
    "offset_positions": (TOKENS, {"start": r"table.*offset of -2"}),
    "sinusoids": (
        TOKENS,
        {
            "halves": "(exchange|order).*halves|halves",
            "half - 1": "table.*frequenc",
            "interleaved": "table.*(transposition|order)",
        },
    ),
    "timestep": ({"inputs": (4,)}, {"halves": "order|exchange", "half - 1": "table|constant"}),
    "attention": (
        TOKENS,
        {
            "packing": "exchange|order of parts",
            "values first": "exchange|order of parts",
            "by head": "heads|split|order",
            "heads": "^heads|^axes|split",
            "merge": "transposition|axes|heads",
            "mask missing": "^(mask|missing call)",
            "scale": "scale|constant|multiply",
            "softmax": "softmax axis",
        },
    ),
    "window": (TOKENS, {"off by one": "^(table|mask)"}),
    "rotary": (
        TOKENS,
        {
            "adjacent": "adjacent",
            "exchanged": "exchange",
            "base": "table.*frequenc|table",
            "sign": "sign|negative|subtract|order",
        },
    ),
    "t5": (TOKENS, {"buckets": "table", "direction": "table", "scale": "constant|divide|scale"}),
    "tied": (TOKENS, {"untied": "untied"}),
    "both_ways": (
        {"inputs": (6, 4)},
        {"flip missing": "missing call.*(slice|flip|revers)|revers", "flip axis": "^part"},
    ),
    "cell": ({"inputs": (6, 4)}, {"gates": "gate order|exchange|order"}),
    "picture_positions": (IMAGE, {"transposed": "extra call.*transposition"}),
    "pooled": (IMAGE, {"zero": "(border|padding|constant).*inf"}),
    "prelu": (IMAGE, {"rows": "axes|shape|slope", "positions": "axes|shape|slope"}),
    "shuffled_pixels": (IMAGE, {"order": "order|axes|split|transposition"}),
    "shuffled_channels": (
        IMAGE,
        {"missing": "missing call|channel|transposition", "groups": "heads|split|order"},
    ),
    "mirrored": (
        IMAGE,
        {"axis": "^part", "back missing": "missing call.*(slice|flip|revers)|revers"},
    ),
    "upsampled": (IMAGE, {"not mirrored": "flipped|mirror"}),
    "grouped": ({"inputs": (9, 9, 4)}, {"exchanged": "groups"}),
    "flattened": (IMAGE, {"order": "flatten order|missing call.*transpos|axes"}),
    "patches": (IMAGE, {"reshape": "reshape|transpos|axes"}),
}
_OF_ATTENTION = {
    "mask missing": "^(mask|missing call)",
    "scale": "scale|constant|multiply",
    "softmax": "softmax axis",
    "heads": "^heads|^axes|^split",
    "merge": "axes|transposition|heads|split",
}
#: Pairs of architectures that compute the same in other calls: A's and B's, the input, and the faults.
CROSSED = {
    "fused attention by hand": ("fused_attention", "attention", TOKENS, _OF_ATTENTION),
    "packed attention apart": ("attention", "separate", TOKENS, _OF_ATTENTION),
    "attention apart packed": (
        "separate",
        "attention",
        TOKENS,
        _OF_ATTENTION,
    ),
    "cell by hand": ("last_state", "cell", {"inputs": (6, 4)}, {"gates": "gate order|exchange|order"}),
    "cell as layer": ("cell", "last_state", {"inputs": (6, 4)}, {"activation": "activation"}),
}
#: In flax as B, with the same faults.
FLAX = {
    "branches": ("order",),
    "swiglu": ("halves",),
    "gemma_norm": ("one missing",),
    "attention": ("packing", "scale", "merge"),
    "shuffled_pixels": ("order",),
}
#: Of resizing: arguments of A, those of B where it is right, those where it is not, and the pattern.
RESIZING = {
    "bicubic": ({"mode": "bicubic"}, None, {"mode": "bicubic"}, "^resizing.*-0.75 against -0.5"),
    "antialias": (
        {"size": 5, "antialias": True},
        {"size": 5, "antialias": True},
        {"size": 5},
        "^resizing.*yes against no",
    ),
    "nearest": ({"mode": "bilinear"}, {}, {"mode": "nearest"}, "resiz"),
}
#: Of optimizers: that of A, a right and a wrong one of B, and the pattern.
OPTIMIZERS = {
    "rmsprop": (
        "torch.optim.RMSprop(parameters, lr=0.01, alpha=0.9, eps=1e-3)",
        None,
        "keras.optimizers.RMSprop(0.01, rho=0.9, epsilon=1e-3)",
        "epsilon|optimizer",
    ),
    "adam": (
        "torch.optim.Adam(parameters, lr=0.01)",
        "keras.optimizers.Adam(0.01, epsilon=1e-8)",
        "keras.optimizers.Adam(0.01, beta_1=0.8, epsilon=1e-8)",
        "beta_1",
    ),
    "nesterov": (
        "torch.optim.SGD(parameters, lr=0.01, momentum=0.9, nesterov=True)",
        "keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True)",
        "keras.optimizers.SGD(0.01, momentum=0.9)",
        "nesterov",
    ),
    "clipping": (
        "torch.optim.SGD(parameters, lr=0.01)",
        "keras.optimizers.SGD(0.01)",
        "keras.optimizers.SGD(0.01, clipnorm=0.1)",
        "clip",
    ),
}


def pairs(folder):
    """All pairs; files of optimizers are written into ``folder``."""
    yield from _of_faults("keras", {name: tuple(faults) for name, (_, faults) in ARCHITECTURES.items()})
    yield from _of_faults("nnx", FLAX)
    for name, (a, b, given, patterns) in CROSSED.items():
        for fault in ("", *patterns):
            yield Pair(
                f"{name}: {fault}" if fault else name,
                _target("torch", a),
                _target("keras", b),
                {},
                {"fault": fault} if fault else {},
                given["inputs"],
                given.get("maximum", 0),
                patterns.get(fault),
            )
    yield Pair(
        "recurrent", _target("torch", "recurrent"), _target("keras", "recurrent"), {}, {}, (6, 4), 0, None
    )
    yield Pair(
        "recurrent: batch for time",
        _target("torch", "recurrent"),
        _target("keras", "recurrent"),
        {"fault": "batch for time"},
        {},
        (4, 4),
        0,
        "batch|time",
    )
    for name, (a, right, wrong, named) in RESIZING.items():
        targets = _target("torch", "resized"), _target("keras", "resized")
        if right is not None:
            yield Pair(f"resized {name}", *targets, a, right, (8, 8, 3), 0, None)
        yield Pair(f"resized: {name}", *targets, a, wrong, (8, 8, 3), 0, named)
    for name, (a, right, wrong, named) in OPTIMIZERS.items():
        for optimizer, pattern in ((right, None), (wrong, named)):
            if optimizer is None:
                continue
            kind = "right" if pattern is None else "wrong"
            targets = (
                _written(
                    folder / f"{name}_{kind}_torch.py",
                    "torch",
                    f"import torch\ndef make_optimizer(parameters): return {a}",
                ),
                _written(
                    folder / f"{name}_{kind}_keras.py",
                    "keras",
                    f"import keras\ndef make_optimizer(): return {optimizer}",
                ),
            )
            yield Pair(f"{name}{':' if pattern else ''} optimizer", *targets, {}, {}, (6,), 0, pattern)


def _of_faults(framework, architectures):
    for name, faults in architectures.items():
        given, patterns = ARCHITECTURES[name]
        for fault in ("", *faults):
            yield Pair(
                f"{name}{' in flax' if framework == 'nnx' else ''}{': ' + fault if fault else ''}",
                _target("torch", name),
                _target(framework, name),
                {},
                {"fault": fault} if fault else {},
                given["inputs"],
                given.get("maximum", 0),
                patterns[fault] if fault else None,
            )


def _target(framework, name):
    return f"{FOLDER / f'pairs_{framework}.py'}:{name}"


def _written(file, framework, optimizer):
    file.write_text(
        f"import sys\nsys.path.insert(0, {str(FOLDER)!r})\nfrom pairs_{framework} import mlp\n{optimizer}\n"
    )
    return f"{file}:mlp"
