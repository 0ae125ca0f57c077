"""Kinds of causes: their names, and the field of a call that each belongs to."""

from harness.tracing import semantics as kinds

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
    "missing bias": "a bias that one side lacks",
    "missing scale": "a scale or shift that one side lacks",
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
    "random": "outputs that differ from call to call",
    "loss": "loss summed or averaged",
    "weight decay": "weight decay coupled with the gradient or not, or its size",
    "optimizer": "rule or options of the optimizer",
    "epsilon of Adam": "whether epsilon is added before or after the correction of the mean square",
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
    (kinds.Recurrent, "activation"): "activation",
    (kinds.Recurrent, "recurrent_activation"): "activation",
    (kinds.Softmax, "axis"): "softmax axis",
    (kinds.Softmax, "logarithm"): "activation",
    (kinds.Activation, "function"): "activation",
    (kinds.Arithmetic, "constant"): "constant",
    (kinds.Arithmetic, "function"): "arithmetic",
    (kinds.Transposition, "axes"): "axes",
    (kinds.Concatenation, "axis"): "axis",
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
}


def kind_of(does: kinds.Semantics, field: str, value: object = None) -> str:
    """The kind of cause of a field that differs; ``value`` is what the other side has there."""
    if isinstance(does, kinds.Activation) and field == "function":
        gelu = {"gelu", "gelu_tanh"}
        return "GELU" if does.function in gelu and value in gelu else "activation"
    name = _FIELDS.get((type(does), field)) or _NAMES.get(field, field)
    return name if name in KINDS else "shape"
