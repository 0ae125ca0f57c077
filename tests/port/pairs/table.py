"""The planted pairs: for each architecture its factories, the input, and the faults with their names.

A pair without a fault is the right twin. A fault maps to a pattern that a cause in the report must fit, so
that the pair counts as named. Optimizers are given as expressions, of which files are made.
"""

import re
from pathlib import Path
from typing import NamedTuple

from loops import LOOPS

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
    "offset_positions": (TOKENS, {"start": "^table"}),
    "sinusoids": (
        TOKENS,
        {
            "halves": "(exchange|order).*halves|halves",
            "half - 1": "^table",
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
            "base": "^table",
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
        {
            "axis": r"^part|^flipped kernel|slice \[.*::-1.* against slice \[.*::-1",
            "back missing": "missing call.*(slice|flip|revers)|revers",
        },
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
#: Ports with parts, stacks, joins or sums of A's arrays: B's framework, the input, and the faults.
REWRITTEN = {
    "lstm_loop": {
        "jax": (
            {"inputs": (6, 3)},
            {"activation": "tanh|sigmoid|logistic", "forget bias": "add|extra|constant|1"},
        ),
        "keras": ({"inputs": (6, 3)}, {"reversed": "flip|revers|slice"}),
    },
    "echo": {"jax": ({"inputs": (5, 4)}, {"start": "zeros|slice|table|constant|0"})},
    "causal_filter": {"jax": ({"inputs": (7, 4)}, {"centred": "pad|border|slice"})},
    "packed_heads": {
        "jax": ({"inputs": (6, 8)}, {"scale": "scale|constant|divide|multiply|0.35"}),
        "keras": ({"inputs": (6, 8)}, {"heads": "heads|axes|split"}),
    },
    "retrieval": {"jax": ({"inputs": (6,)}, {"query": "norm|divide|missing call"})},
    "adapters": {"keras": ({"inputs": (6,)}, {"scale": "constant|scale|multiply|factor"})},
    "fixed_positions": {
        "keras": ({"inputs": (6, 4)}, {"start": "^table", "base": "^table"}),
    },
    "folded": {"jax": ({"inputs": (4,)}, {"activation": "gelu|relu|activation"})},
}
#: Ports in another order, or written otherwise: B's framework, the input, and the faults.
OTHERWISE = {
    "registers": ("jax", {"inputs": (5, 4)}, {"part": "^order of parts|^part"}),
    "skew": ("jax", {"inputs": (6, 8)}, {"distance": "gather"}),
    "windows": ("jax", {"inputs": (9, 8)}, {"scaled": r"\* 0\.5.* against .*/ 2"}),
    "fourier": ("keras", {"inputs": (3,)}, {"turns": "^missing call.*6.28"}),
    "adapted_attention": ("keras", {"inputs": (4, 8)}, {"scale": "^constant.*3 against 6"}),
    "dueling": ("jax", {"inputs": (5,)}, {"max": "^pooling.*mean against max"}),
    "compositing": ("jax", {"inputs": (6, 4)}, {"inclusive": r"cumprod\[:, :-1\]"}),
    "sampler": ("jax", {"inputs": (8, 8, 3)}, {"corners": "grid_sample"}),
    "capped": (
        "jax",
        {"inputs": (5, 8)},
        {
            "tiled": "^axes.*reshape",
            "window": r"selection\(table .* against selection\(table",
            "mask before": "against divide 3 → tanh → multiply 3",
        },
    ),
    "turned": (
        "jax",
        {"inputs": (6, 8)},
        {"norm after": r"concatenation.* against .*q_norm", "epsilon": r"layernorm.* against .*sqrt.*0\.001"},
    ),
    "directions": ("keras", {"inputs": (6, 4)}, {"averaged": "^extra call.*divide 2"}),
    "noisy": ("keras", {"inputs": (5,)}, {"evaluation": "^extra call.*noise.*table"}),
    "tracking": ("jax", {"inputs": (5, 1)}, {"noise": "add"}),
    "gates": ("jax", {"inputs": (5, 4)}, {"exchanged": "^exchange"}),
    "last_step": ("keras", {"inputs": (5, 6)}, {"GELU": "^GELU"}),
    "gated_filters": ("keras", {"inputs": (9, 6)}, {"half": "^constant.*0.707107 against divide 2"}),
    "decoder": ("jax", {"inputs": (7, 8)}, {"future": "^mask"}),
    "bilinear": ("jax", {"inputs": (5,)}, {"transposed": "^transposed kernel"}),
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
    "clipping that no gradient reaches": (
        "torch.optim.SGD(parameters, lr=0.01)",
        None,
        "keras.optimizers.SGD(0.01, clipnorm=1e6)",
        "clip",
    ),
    "decay of biases": (
        "torch.optim.AdamW([{'params': [p], 'weight_decay': 0.1 * (p.ndim > 1)} for p in parameters], 0.001)",
        "without_biases(keras.optimizers.AdamW(0.001, weight_decay=0.1, epsilon=1e-8))",
        "keras.optimizers.AdamW(0.001, weight_decay=0.1, epsilon=1e-8)",
        r"^weight decay, one.bias ↔ .*decay none against decay 0\.1",
    ),
    "groups": (
        "torch.optim.Adam([{'params': [p], 'lr': 0.01 if len(p) == 3 else 0.001} for p in parameters])",
        "head_and_body(*(keras.optimizers.Adam(rate, epsilon=1e-8) for rate in (0.01, 0.001)))",
        "keras.optimizers.Adam(0.001, epsilon=1e-8)",
        r"^optimizer, two.weight ↔ .*learning rate 0\.01 against learning rate 0\.001 \(×0\.1\)",
    ),
    "average": (
        "Averaged(torch.optim.AdamW(parameters, 0.01), 0.9)",
        "averaged(0.01, weight_decay=0.01, epsilon=1e-8, ema_momentum=0.9, ema_overwrite_frequency=1)",
        "keras.optimizers.AdamW(0.01, weight_decay=0.01, epsilon=1e-8)",
        "^optimizer",
    ),
    "average at the end": (
        "torch.optim.AdamW(parameters, 0.01)",
        None,
        "keras.optimizers.AdamW(0.01, weight_decay=0.01, epsilon=1e-8, use_ema=True)",
        "^optimizer.*averaged weights none against .*0.99",
    ),
    "accumulation": (
        "Accumulated(torch.optim.Adam(parameters, 0.01), 2)",
        "keras.optimizers.Adam(0.01, epsilon=1e-8, gradient_accumulation_steps=2)",
        "keras.optimizers.Adam(0.01, epsilon=1e-8)",
        "^optimizer.*does not move in step 1 against moves",
    ),
    "accumulation of one side": (
        "torch.optim.Adam(parameters, 0.01)",
        None,
        "keras.optimizers.Adam(0.01, epsilon=1e-8, gradient_accumulation_steps=4)",
        "^optimizer.*steps in an update none against .* 4",
    ),
    "schedule": (
        "scheduled(torch.optim.SGD(parameters, 0.01, momentum=0.9), lambda step: 0.99999**step)",
        "scheduled(1, 0.99999, False, momentum=0.9)",
        "scheduled(50, 0.99999, True, momentum=0.9)",
        "^optimizer.*learning rate .* at step 2",
    ),
    "late schedule": (
        "scheduled(torch.optim.SGD(parameters, 0.01), lambda step: 0.1**(step // 100))",
        "scheduled(100, 0.1, True)",
        "keras.optimizers.SGD(0.01)",
        "^optimizer.*learning rate 0.001 at step 101 against learning rate 0.01 at step 101",
    ),
}
#: The same of optax.
OPTAX = {
    "adam": (
        "torch.optim.Adam(parameters, lr=0.01)",
        "optax.adam(0.01)",
        "optax.adam(0.01, b1=0.8)",
        "^optimizer",
    ),
    "decay of biases": (
        "torch.optim.AdamW([{'params': [p], 'weight_decay': 0.1 * (p.ndim > 1)} for p in parameters], 0.001)",
        "optax.adamw(0.001, weight_decay=0.1, mask=lambda tree: jax.tree.map(lambda p: p.ndim > 1, tree))",
        "optax.adamw(0.001, weight_decay=0.1)",
        r"^optimizer, one.bias",
    ),
    "groups": (
        "torch.optim.SGD([{'params': [p], 'lr': 0.1 if len(p) == 3 else 0.01} for p in parameters])",
        "grouped({True: optax.sgd(0.1), False: optax.sgd(0.01)}, lambda p: p.shape[-1] == 3)",
        "optax.sgd(0.01)",
        r"^optimizer, two.* ↔ .*steps × 1 against steps × 0\.1",
    ),
    "accumulation": (
        "Accumulated(torch.optim.Adam(parameters, 0.01), 2)",
        "optax.MultiSteps(optax.adam(0.01), 2)",
        "optax.adam(0.01)",
        "^optimizer.*does not move in step 1 against moves",
    ),
    "average": (
        "Averaged(torch.optim.SGD(parameters, 0.01), 0.9)",
        "averaged(optax.sgd(0.01), 0.9)",
        "optax.sgd(0.01)",
        "^optimizer",
    ),
}
#: What the optimizers above are made of.
HELPERS = {
    "torch": """import torch

class Wrapped(torch.optim.Optimizer):
    def __init__(self, inner, number):
        super().__init__(inner.param_groups, {})
        self.inner, self.number, self.steps = inner, number, 0
        self.parameters = [p for group in inner.param_groups for p in group["params"]]
        self.held = [torch.zeros_like(p) for p in self.parameters]

class Averaged(Wrapped):
    def step(self):
        self.inner.step()
        for held, p in zip(self.held, self.parameters):
            held.copy_(p.data if not self.steps else self.number * held + (1 - self.number) * p.data)
            p.data.copy_(held)
        self.steps += 1

class Accumulated(Wrapped):
    def step(self):
        self.steps += 1
        for held, p in zip(self.held, self.parameters):
            held.add_(p.grad / self.number)
            p.grad.copy_(held)
        if self.steps % self.number == 0:
            self.inner.step()
            [held.zero_() for held in self.held]

def scheduled(optimizer, factor):
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)

def make_optimizer(parameters): return """,
    "keras": """import keras

def without_biases(optimizer):
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer

def head_and_body(head, body):
    return keras.optimizers.MultiOptimizer(lambda variable: head if variable.shape[-1] == 3 else body)

def averaged(*args, **options):
    return keras.optimizers.AdamW(*args, use_ema=True, **options)

def scheduled(*args, **options):
    return keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.01, *args), **options)

def make_optimizer(): return """,
    "nnx": """import jax, optax

def averaged(inner, momentum):
    def init(tree):
        return inner.init(tree), tree, 0
    def update(slopes, state, tree):
        memory, average, steps = state
        moves, memory = inner.update(slopes, memory, tree)
        mixed = jax.numpy.where(steps == 0, 0.0, momentum)
        average = jax.tree.map(lambda a, p, m: mixed * a + (1 - mixed) * (p + m), average, tree, moves)
        return jax.tree.map(lambda a, p: a - p, average, tree), (memory, average, steps + 1)
    return optax.GradientTransformation(init, update)

def grouped(rules, is_head):
    return optax.multi_transform(rules, lambda tree: jax.tree.map(is_head, tree))

def make_optimizer(): return """,
}


def pairs(folder):
    """All pairs; files of optimizers are written into ``folder``."""
    yield from _of_faults("keras", {name: tuple(faults) for name, (_, faults) in ARCHITECTURES.items()})
    yield from _of_faults("nnx", FLAX)
    for name, ports in REWRITTEN.items():
        for framework, (given, patterns) in ports.items():
            for fault in ("", *patterns):
                yield Pair(
                    f"rewritten {name} in {framework}{': ' + fault if fault else ''}",
                    f"{FOLDER / 'rewritten_torch.py'}:{name}",
                    f"{FOLDER / f'rewritten_{framework}.py'}:{name}",
                    {},
                    {"fault": fault} if fault else {},
                    given["inputs"],
                    0,
                    patterns.get(fault),
                )
    yield from _of_loops()
    yield from _otherwise()
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
    for framework, optimizers in (("keras", OPTIMIZERS), ("nnx", OPTAX)):
        for name, (a, right, wrong, named) in optimizers.items():
            yield from _of_optimizers(folder, framework, name, a, {None: right, named: wrong})


def _of_loops():
    for a, framework, b, inputs, patterns in LOOPS:
        for fault in ("", *patterns):
            yield Pair(
                f"loops {a} by {b} in {framework}{': ' + fault if fault else ''}",
                f"{FOLDER / 'loops_torch.py'}:{a}",
                f"{FOLDER / f'loops_{framework}.py'}:{b}",
                {},
                {"fault": fault} if fault else {},
                inputs,
                0,
                patterns.get(fault),
            )


def _otherwise():
    for name, (framework, given, patterns) in OTHERWISE.items():
        a, b = (f"{FOLDER / f'otherwise_{side}.py'}:{name}" for side in ("torch", framework))
        for fault in ("", *patterns):
            text = f"otherwise {name}{': ' + fault if fault else ''}"
            own = {"fault": fault} if fault else {}
            yield Pair(text, a, b, {}, own, given["inputs"], 0, patterns.get(fault))


def _of_optimizers(folder, framework, name, a, optimizers):
    suffix = " in optax" if framework == "nnx" else ""
    for pattern, optimizer in optimizers.items():
        if optimizer is None:
            continue
        stem = f"{name.replace(' ', '_')}_{framework}_{'right' if pattern is None else 'wrong'}"
        targets = [
            _written(folder / f"{stem}_{side}.py", side, HELPERS[side] + text)
            for side, text in (("torch", a), (framework, optimizer))
        ]
        yield Pair(f"{name}{':' if pattern else ''} optimizer{suffix}", *targets, {}, {}, (6,), 0, pattern)


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
