"""Kinds of causes: their meanings, the fields of calls that they belong to, and merging of alike causes."""

from collections.abc import Sequence

import msgspec

from harness.port.record import Cause
from harness.tracing import semantics as kinds

#: The meaning of each kind of cause.
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
    "batch for time": "which axis is time, and which the batch",
    "border": "the numbers around an array",
    "table": "a constant array, such as positions, frequencies or buckets",
    "rotary pairs": "which elements are rotated together",
    "missing bias": "a bias that one side lacks",
    "missing scale": "a scale or shift that one side lacks",
    "untied": "a table that one side uses twice, and the other has twice",
    "flipped kernel": "kernel upside down",
    "transposed kernel": "kernel with exchanged axes",
    "dropout": "rate of a dropout, or a dropout that is never off",
    "order": "activation before or after normalisation",
    "resizing": "grid of a resizing",
    "constant": "a number in the model's own arithmetic",
    "arithmetic": "operation of the model's own arithmetic",
    "missing call": "a function that one side lacks",
    "extra call": "a function that the other side lacks",
    "other function": "another function at the same place",
    "shape": "shape of a layer",
    "gradient": "gradient of a parameter although the outputs are equal",
    "loss": "another loss, or one that is summed and not averaged",
    "weight decay": "weight decay coupled with the gradient or not, or its size",
    "optimizer": "rule or options of the optimizer",
    "epsilon of Adam": "whether epsilon is added before or after the correction of the mean square",
    "epsilon of RMSprop": "whether epsilon is added inside or outside the root",
    "rate in the momentum": "whether the momentum sums gradients, or steps with their learning rates",
    "initial values": "distribution of the initial values",
    "two biases": "two biases of which the sum counts",
    "running variance": "biased or unbiased running variance of the frameworks' own layers",
    "unexplained": "a difference whose cause was not found",
}
#: The kind of cause of calls in the place of other calls.
REPLACED = "other function"
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
    """Return the kind of cause of a ``field`` that differs; ``value`` is the other side's value."""
    if isinstance(does, kinds.Activation) and field == "function":
        gelu = {"gelu", "gelu_tanh"}
        return "GELU" if does.function in gelu and value in gelu else "activation"
    if isinstance(does, kinds.Reshape) and isinstance(value, tuple) and len(value) > 2:  # noqa: PLR2004
        return "heads" if sorted(does.shape) == sorted(value) else "shape"
    name = _FIELDS.get((type(does), field)) or _NAMES.get(field, field)
    return name if name in KINDS else "shape"


def text(value: object) -> str:
    """Format the value of a field: ``0.001``, ``(1, 1)``, ``none``."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def field_text(field: str, value: object) -> str:
    """Format the ``value`` of ``field`` of a call; for a causal mask, name the last key that is seen."""
    if field != "causal_offset" or not isinstance(value, int):
        return text(value)
    return f"keys up to {f'{value:+d}' if value else 'its own'}"


def merged(found: Sequence[Cause]) -> list[Cause]:
    """Merge alike causes at several places, and a call that comes early with the same call missing later."""
    result: list[Cause] = []
    for cause in _with_orders(found):
        alike = next((each for each in result if _key(each) == _key(cause)), None)
        if alike is None:
            result.append(msgspec.structs.replace(cause))
        else:
            places = [path for path in (cause.path_b, *cause.more) if path != alike.path_b]
            alike.more = list(dict.fromkeys([*alike.more, *places]))
            alike.exchanged = [*alike.exchanged, *cause.exchanged]
    return result


def _with_orders(found: Sequence[Cause]) -> list[Cause]:
    """Merge a function that B has too early with the same function missing later."""
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
