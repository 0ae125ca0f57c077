"""What a comparison of two models found.

Differences are relative to the largest number of what is compared.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from harness.core.documents.kinds import Envelope, RecordKind
from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, InputShape, Loss

Verdict = Literal["equal", "equal up to", "different", "undecided"]
Mode = Literal["evaluation", "training", "gradients", "steps"]


class Cause(msgspec.Struct, kw_only=True):
    """Why two models differ at a place.

    ``kind`` is one of :data:`harness.port.findings.KINDS`. ``a`` and ``b`` are what each side has, as text.
    With that of A in place of that of B the difference falls from ``before`` to ``after``; None where nothing
    of the kind can be tried. ``more`` are further places of B with the same cause. The lines are those of the
    user's code, ``model.py:41``, empty where it has none.
    """

    kind: str
    path_a: str
    path_b: str
    function_a: str = ""
    function_b: str = ""
    line_a: str = ""
    line_b: str = ""
    a: str = ""
    b: str = ""
    before: float | None = None
    after: float | None = None
    mode: Mode = "evaluation"
    harmless: bool = False
    more: list[str] = []

    @classmethod
    def at(
        cls,
        kind: str,
        one: Call | str | None,
        other: Call | str | None,
        a: str = "",
        b: str = "",
        before: float | None = None,
        after: float | None = None,
        mode: Mode = "evaluation",
        *,
        harmless: bool = False,
    ) -> "Cause":
        """A cause at a call or path of each side; a difference that is not finite is left out."""
        paths = [place.path if isinstance(place, Call) else place or "" for place in (one, other)]
        made = cls(kind=kind, path_a=paths[0], path_b=paths[1], a=a, b=b, after=after)
        made.mode, made.harmless = mode, harmless
        made.before = before if before is not None and math.isfinite(before) else None
        if isinstance(one, Call):
            made.function_a, made.line_a = one.function, one.line
        if isinstance(other, Call):
            made.function_b, made.line_b = other.function, other.line
        return made


class ParameterPair(msgspec.Struct, frozen=True):
    """A parameter of A, or a part of it, and its counterpart in B; ``role`` as in the semantics."""

    a: str
    b: str
    role: str
    shape: tuple[int, ...]


class Parameters(msgspec.Struct):
    """How many numbers each side trains, and what belongs together."""

    count_a: int
    count_b: int
    pairs: list[ParameterPair]
    unmatched_a: list[str]
    unmatched_b: list[str]
    candidates: dict[str, list[str]] = {}
    """For each parameter of A that training changes and that has no counterpart, those of B of its size."""


class Compared(msgspec.Struct):
    """The worst difference of a part of the comparison, and the tolerance that rounding allows.

    ``worst`` is None where shapes differ, or a number is not finite.
    """

    what: str
    worst: float | None
    tolerance: float
    where: str = ""

    @property
    def equal(self) -> bool:
        """Whether nothing but rounding differs."""
        return self.worst is not None and self.worst <= self.tolerance


class SideRecord(msgspec.Struct):
    """One side: what was loaded, and in which framework."""

    target: str
    framework: str
    versions: dict[str, str]
    own_optimizer: bool = False
    own_loss: bool = False


class Findings(msgspec.Struct, kw_only=True):
    """The outcome of a comparison."""

    a: SideRecord
    b: SideRecord
    verdict: Verdict
    parameters: Parameters
    compared: list[Compared]
    causes: list[Cause]
    notes: list[str] = []
    """What could not be seen or decided, a sentence each."""
    not_compared: list[str] = []
    """What the verdict says nothing about, as phrases."""

    @property
    def equal(self) -> bool:
        """Whether the models are the same, up to what is harmless."""
        return self.verdict in {"equal", "equal up to"}


# Kinds of causes: their names, and the field of a call that each belongs to.

#: What each kind of cause means.
KINDS = {
    "epsilon": "epsilon of a normalisation",
    "momentum": "share of the batch in the running statistics",
    "variance": "biased or unbiased variance",
    "statistics": "statistics of the batch or running ones",
    "padding": "padding of a convolution or pooling",
    "stride": "stride",
    "dilation": "dilation",
    "groups": "groups of channels",
    "window": "size of a pooling window",
    "pooling": "maximum or mean",
    "counted padding": "whether the mean of a window counts its padding",
    "flatten order": "order of the elements in a flattened array",
    "gate order": "order of the gates in packed weights",
    "reset gate": "reset gate before or after the product",
    "direction": "direction of a recurrent layer",
    "activation": "activation function",
    "GELU": "exact or tanh GELU",
    "slope": "slope of an activation below zero",
    "softmax axis": "axis of a softmax",
    "attention scale": "factor of the attention scores",
    "mask": "mask of attention",
    "heads": "number or order of attention heads",
    "normalisation axis": "axes of a normalisation",
    "reduction axis": "axes of a mean or another reduction",
    "axes": "order of axes",
    "axis": "axis of concatenation",
    "part": "which part of an array",
    "order of parts": "order of concatenated parts, or of the operands of a product or difference",
    "exchange": "values in each other's place, such as the halves of a split",
    "split": "which of the new axes of a reshape runs fastest",
    "order of elements": "elements of an array in another order",
    "batch for time": "which axis is time, and which the batch",
    "border": "the numbers around an array",
    "table": "a constant array, such as positions, frequencies or buckets",
    "rotary pairs": "which elements are rotated together",
    "missing bias": "a bias that one side lacks",
    "missing scale": "a scale or shift that one side lacks",
    "untied": "a table that one side uses twice, and the other has twice",
    "flipped kernel": "kernel upside down",
    "transposed kernel": "kernel with exchanged axes",
    "dropout": "rate, place or axes of a dropout, or a dropout that is never off",
    "order": "activation before or after normalisation",
    "resizing": "grid of a resizing",
    "constant": "a number in the model's own arithmetic",
    "arithmetic": "operation of the model's own arithmetic",
    "missing call": "a function that one side lacks",
    "extra call": "a function that the other side lacks",
    "other function": "another function at the same place",
    "shape": "shape of a layer",
    "gradient": "gradient of a parameter although the outputs are equal",
    "random": "outputs that differ from call to call",
    "loss": "another loss, or one that is summed and not averaged",
    "label smoothing": "label smoothing of the loss",
    "ignored labels": "labels that the loss leaves out",
    "weight decay": "weight decay coupled with the gradient or not, or its size",
    "optimizer": "rule or options of the optimizer",
    "epsilon of Adam": "whether epsilon is added before or after the correction of the mean square",
    "epsilon of RMSprop": "whether epsilon is added inside or outside the root",
    "rate in the momentum": "whether the momentum sums gradients, or steps with their learning rates",
    "only in float32": "outputs of the code as written, far from its own outputs in float64",
    "copied values": "copied parameters that are equal only after an operation",
    "initial values": "distribution of the initial values",
    "two biases": "two biases of which the sum counts",
    "running variance": "biased or unbiased running variance of the frameworks' own layers",
    "unexplained": "a difference whose cause was not found",
}

_FIELDS: dict[tuple[type[kinds.Semantics], str], str] = {
    (kinds.BatchNormalization, "unbiased_running_variance"): "variance",
    (kinds.BatchNormalization, "training"): "statistics",
    (kinds.LayerNormalization, "axes"): "normalisation axis",
    (kinds.LayerNormalization, "centered"): "normalisation axis",
    (kinds.Pooling, "function"): "pooling",
    (kinds.Pooling, "size"): "window",
    (kinds.AdaptivePooling, "function"): "pooling",
    (kinds.Reduction, "function"): "pooling",
    (kinds.Reduction, "axes"): "reduction axis",
    (kinds.Reduction, "correction"): "variance",
    (kinds.Recurrent, "reset_after"): "reset gate",
    (kinds.Recurrent, "reverse"): "direction",
    (kinds.Recurrent, "recurrent_activation"): "activation",
    (kinds.Softmax, "axis"): "softmax axis",
    (kinds.Softmax, "logarithm"): "activation",
    (kinds.Arithmetic, "function"): "arithmetic",
    (kinds.Slice, "index"): "part",
    (kinds.Padded, "value"): "border",
    (kinds.Padded, "mode"): "border",
    (kinds.MatrixProduct, "transposed"): "axes",
    (kinds.Dropout, "rate"): "dropout",
    (kinds.Dropout, "active"): "dropout",
}
_NAMES = {
    "strides": "stride",
    "counts_padding": "counted padding",
    "causal_offset": "mask",
    "softmax_axis": "softmax axis",
    "masked": "mask",
    "scale": "attention scale",
    "align_corners": "resizing",
    "half_pixel": "resizing",
    "method": "resizing",
    "coefficient": "resizing",
    "antialias": "resizing",
    "inside": "resizing",
}


def kind_of(does: kinds.Semantics, field: str, value: object = None) -> str:
    """The kind of cause of a field that differs; ``value`` is what the other side has there."""
    if isinstance(does, kinds.Activation) and field == "function":
        gelu = {"gelu", "gelu_tanh"}
        return "GELU" if does.function in gelu and value in gelu else "activation"
    if isinstance(does, kinds.Reshape) and isinstance(value, tuple) and len(value) > 2:  # noqa: PLR2004
        return "heads" if sorted(does.shape) == sorted(value) else "shape"
    name = _FIELDS.get((type(does), field)) or _NAMES.get(field, field)
    return name if name in KINDS else "shape"


# What is compared, and how.


class SideSpec(msgspec.Struct, frozen=True):
    """A model: ``FILE.py:CALLABLE`` or ``package.module:CALLABLE``, and the arguments of the callable."""

    target: str
    arguments: dict[str, Any] = {}


class PortOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How two models are compared."""

    loss: Loss = "cross-entropy"
    batch: int = 4
    steps: int | None = None
    """20, or 5 for a model of more than 3 million numbers, unless given."""
    learning_rate: float = 0.01
    threads: int = 1
    timeout_seconds: float | None = None
    names: dict[str, list[str]] = {}
    """Names of A's parameters with those of B that they are; the rest is matched by use and shape."""


# The record of a comparison of two models, and its files.

SCHEMA = 2


class PortRecord(Envelope, kw_only=True):
    """What was compared, how, and what was found."""

    schema: int = SCHEMA
    inputs: list[InputShape]
    options: PortOptions
    findings: Findings
    seconds: float


PORTS = RecordKind(
    name="port",
    folder="ports",
    type=PortRecord,
    schema=SCHEMA,
    mark="findings",
    row="harness.port.page:row",
    document="harness.port.page:port_document",
    noun=("port check", "port checks"),
)


# Causes that are alike at several places as one.


def merged(found: Sequence[Cause]) -> list[Cause]:
    """Causes that are alike at several places as one; and a call before and after another as its order."""
    result: list[Cause] = []
    for cause in _with_orders(found):
        alike = next((each for each in result if _key(each) == _key(cause)), None)
        if alike is None:
            result.append(msgspec.structs.replace(cause))
        else:
            places = [path for path in (cause.path_b, *cause.more) if path != alike.path_b]
            alike.more = list(dict.fromkeys([*alike.more, *places]))
    return result


def _with_orders(found: Sequence[Cause]) -> list[Cause]:
    """A function that B has too early, and misses later, as one cause."""
    result: list[Cause] = []
    rest = list(found)
    while rest:
        cause = rest.pop(0)
        partner = next((each for each in rest if _is_order(cause, each)), None)
        if partner is not None:
            rest.remove(partner)
            early, late = (cause, partner) if cause.kind == "extra call" else (partner, cause)
            cause = msgspec.structs.replace(
                early, kind="order", a=f"{late.a} later", b=f"{early.b} earlier", path_a=late.path_a
            )
        result.append(cause)
    return result


def _is_order(one: Cause, other: Cause) -> bool:
    if {one.kind, other.kind} != {"extra call", "missing call"} or one.mode != other.mode:
        return False
    early, late = (one, other) if one.kind == "extra call" else (other, one)
    return early.b == late.a


def _key(cause: Cause) -> tuple[str, ...]:
    return (cause.kind, cause.a, cause.b, cause.function_a, cause.function_b)
