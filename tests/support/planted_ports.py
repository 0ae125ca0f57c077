"""Planted faults: a port with each of them, the cause that must be named, and the layer at which it is."""

from pathlib import Path
from typing import NamedTuple

MODELS = Path(__file__).parents[1] / "port" / "models"
INPUTS = {
    "cnn": ["--input", "16,16,3"],
    "resnet": ["--input", "16,16,3"],
    "transformer": ["--input", "12", "--dtype", "int", "--max", "17"],
    "mlp": ["--input", "20"],
    "training": ["--input", "20"],
    "standard": ["--input", "20"],
    "gru": ["--input", "10,4"],
    "lstm": ["--input", "10,4"],
    "upsampling": ["--input", "8,8,4"],
}


class Planted(NamedTuple):
    """``faults`` are planted in B; ``causes`` are pairs of a kind and a part of B's path."""

    model: str
    a: str
    b: str
    faults: tuple[str, ...]
    causes: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """Such as ``cnn torch keras: slope``."""
        return f"{self.model} {self.a} {self.b}: {' + '.join(self.faults) or 'right'}"

    def arguments(self) -> list[str]:
        """Those of ``harness port``."""
        files = {"gru": "recurrent", "lstm": "recurrent"}
        base = files.get(self.model, self.model)
        cells = [f"cell={self.model}"] if base == "recurrent" else []
        options = [part for cell in cells for side in "ab" for part in (f"--set-{side}", cell)]
        return [
            str(MODELS / f"{base}_{self.a}.py") + ":make",
            str(MODELS / f"{base}_{self.b}.py") + ":make",
            *INPUTS[self.model],
            *options,
            "--set-b",
            f"faults={self.faults!r}",
        ]


def _planted(model: str, a: str, b: str, **causes: tuple[str, str]) -> list[Planted]:
    return [Planted(model, a, b, (fault.replace("_", " "),), (cause,)) for fault, cause in causes.items()]


#: One fault each; tests/port/pairs has further ones, in Flax too.
SINGLE = [
    *_planted(
        "cnn",
        "torch",
        "keras",
        dilation=("dilation", "first"),
        missing_bias=("missing bias", "first"),
        flipped_kernel=("flipped kernel", ""),
        activation=("activation", ""),
        missing_call=("missing call", ""),
        pooling=("pooling", ""),
        padding=("padding", "second"),
        slope=("slope", ""),
        counted_padding=("counted padding", ""),
        flatten_order=("flatten order", ""),
        GELU=("GELU", ""),
        dropout_rate=("dropout", "dropout"),
        dropout=("dropout", "dropout"),
        extra_call=("extra call", ""),
    ),
    *_planted(
        "resnet",
        "torch",
        "keras",
        epsilon=("epsilon", "bn"),
        one_epsilon=("epsilon", "b1_bn2"),
        momentum=("momentum", "bn"),
        statistics=("statistics", "bn"),
        order=("order", "b0"),
        stride=("stride", "b1_conv1"),
        arithmetic=("extra call", ""),
        missing_call=("missing call", ""),
        pooling=("pooling", ""),
    ),
    *_planted(
        "transformer",
        "torch",
        "keras",
        epsilon=("epsilon", "ln"),
        dropout_rate=("dropout", "dropout"),
        normalisation_axis=("normalisation axis", ""),
        activation=("activation", ""),
        GELU=("GELU", ""),
        missing_call=("missing call", ""),
        heads=("heads", "attention"),
        attention_scale=("attention scale", "attention"),
        mask=("mask", "attention"),
        mask_off_by_one=("mask", "attention"),
        softmax_axis=("softmax axis", "attention"),
        missing_bias=("missing bias", "head"),
    ),
    *_planted(
        "gru",
        "torch",
        "keras",
        reset_gate=("reset gate", "cell"),
        activation=("activation", "cell"),
        recurrent_activation=("activation", "cell"),
        direction=("direction", "cell"),
        last_step=("other function", "head"),
        missing_bias=("missing bias", "head"),
    ),
    Planted("training", "torch", "coupled", ("coupled decay",), (("weight decay", "optimizer"),)),
    Planted("training", "torch", "summed", ("loss",), (("loss", "loss"),)),
    Planted("training", "keras", "summed", ("decay",), (("weight decay", "optimizer"),)),
    *_planted("standard", "torch", "nnx", variance=("variance", "")),
    *_planted("mlp", "torch", "nnx", order=("order", "norm"), epsilon=("epsilon", "norm")),
    *_planted(
        "lstm", "torch", "keras", recurrent_activation=("activation", "cell"), direction=("direction", "cell")
    ),
    *_planted(
        "upsampling",
        "torch",
        "keras",
        groups=("groups", "depthwise"),
        normalisation_groups=("groups", "norm"),
        epsilon=("epsilon", "norm"),
        transposed_kernel=("transposed kernel", ""),
        padding=("padding", "up"),
        resizing=("resizing", ""),
        softmax_axis=("softmax axis", ""),
    ),
]


def _three(model: str, a: str, b: str, *faults: str) -> Planted:
    causes = {(each.model, each.b, each.faults[0]): each.causes[0] for each in SINGLE}
    return Planted(model, a, b, faults, tuple(causes[model, b, fault] for fault in faults))


#: Three faults at once.
TRIPLE = [
    _three("cnn", "torch", "keras", "dilation", "slope", "GELU"),
    _three("cnn", "torch", "keras", "padding", "counted padding", "flatten order"),
    _three("cnn", "torch", "keras", "missing bias", "pooling", "dropout rate"),
    _three("resnet", "torch", "keras", "epsilon", "momentum", "pooling"),
    _three("resnet", "torch", "keras", "one epsilon", "order", "stride"),
    _three("transformer", "torch", "keras", "epsilon", "attention scale", "GELU"),
    _three("upsampling", "torch", "keras", "groups", "resizing", "softmax axis"),
]

#: Ports without a fault.
RIGHT = [
    Planted("training", "torch", "keras", (), ()),
    Planted("standard", "torch", "nnx", (), ()),
    *(
        Planted(model, a, b, (), ())
        for model in ("cnn", "mlp", "resnet", "transformer", "gru", "lstm", "upsampling")
        for a, b in (("torch", "keras"), ("torch", "nnx"), ("keras", "nnx"))
        if model != "upsampling" or "nnx" not in (a, b)
    ),
]
