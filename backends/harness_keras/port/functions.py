"""What the functions are that ``keras.ops`` consists of, by the names that they have in every engine.

A reading records one call of a function, perhaps as several, and returns its result; it returns
NotImplemented where the arguments make it another function.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import tree

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness_keras.port.geometry import all_from_end, from_end, spatial, tuple_of, window_padding
from harness_keras.port.recorder import Recorder, is_array

Tensor = Any

#: Functions that compute nothing: nobody needs to know that they were called.
PASSIVE = frozenset({
    "shape", "is_tensor", "convert_to_numpy", "ndim", "size", "device_scope", "compute_output_spec",
    "random_seed_dtype", "custom_gradient", "remat", "cond", "switch", "while_loop", "fori_loop", "scan",
    "map", "vectorized_map", "associative_scan", "enable_numpy", "get_device", "to_torch_dtype",
    "standardize_dtype",
    "standardize_tuple", "result_type", "in_stateless_scope", "get_stateless_scope", "any_symbolic_tensors",
})  # fmt: skip


class Called(NamedTuple):
    """A function that is being called with ``arguments``, by name; ``original`` computes it."""

    recorder: Recorder
    function: str
    arguments: dict[str, Any]
    original: Callable[..., Any]

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    @property
    def x(self) -> Tensor:
        """The first argument."""
        return next(iter(self.arguments.values()))

    def record(self, does: kinds.Semantics, *names: str, parameters: dict[str, Stored] | None = None) -> Any:
        """Record one call; its inputs are these arguments, by default the first one."""
        names = names or (next(iter(self.arguments)),)
        given = {name: self.arguments[name] for name in names}
        inputs = [tensor for tensor in tree.flatten(given) if is_array(tensor)]

        def compute(*tensors: Tensor) -> Any:
            left = iter(tensors)
            changed = tree.map_structure(lambda each: next(left) if is_array(each) else each, given)
            return self.original(**{**self.arguments, **changed})

        return self.recorder.call(self.function, does, inputs, compute, parameters)

    def again(self, **changed: Any) -> Any:
        """The function's result, with some arguments changed, not recorded."""
        return self.original(**{**self.arguments, **changed})


Reading = Callable[[Called], Any]
FUNCTIONS: dict[str, Reading] = {}


def reads(*names: str) -> Callable[[Reading], Reading]:
    """Make a function the reading of the functions with these names."""

    def register(reading: Reading) -> Reading:
        FUNCTIONS.update(dict.fromkeys(names, reading))
        return reading

    return register


_ACTIVATIONS = {
    "nn.relu": "relu", "nn.relu6": "relu6", "nn.sigmoid": "sigmoid", "nn.tanh": "tanh", "numpy.tanh": "tanh",
    "nn.softplus": "softplus", "nn.silu": "silu", "nn.selu": "selu", "nn.hard_sigmoid": "hard_sigmoid",
    "nn.hard_silu": "hard_swish", "numpy.exp": "exp", "numpy.log": "log", "numpy.sqrt": "sqrt",
    "math.rsqrt": "rsqrt", "numpy.square": "square", "numpy.abs": "abs", "numpy.absolute": "abs",
    "numpy.negative": "negative", "nn.softsign": "softsign", "numpy.sin": "sin", "numpy.cos": "cos",
}  # fmt: skip


def _activation(function: str) -> Reading:
    return lambda called: called.record(kinds.Activation(function=function))


FUNCTIONS.update({name: _activation(function) for name, function in _ACTIVATIONS.items()})


@reads("nn.leaky_relu")
def _leaky_relu(called: Called) -> Tensor:
    return called.record(kinds.Activation(function="leaky_relu", slope=float(called["negative_slope"])))


@reads("nn.elu", "nn.celu")
def _elu(called: Called) -> Tensor:
    function = called.function.split(".")[-1]
    return called.record(kinds.Activation(function=function, slope=float(called["alpha"])))


@reads("nn.gelu")
def _gelu(called: Called) -> Tensor:
    return called.record(kinds.Activation(function="gelu_tanh" if called["approximate"] else "gelu"))


@reads("nn.softmax", "nn.log_softmax")
def _softmax(called: Called) -> Tensor:
    axis = called["axis"]
    if not isinstance(axis, int):
        return NotImplemented
    logarithm = called.function.endswith("log_softmax")
    return called.record(kinds.Softmax(axis=from_end(axis, len(called.x.shape)), logarithm=logarithm))


_ARITHMETIC = {
    "numpy.add": "add", "numpy.subtract": "subtract", "numpy.multiply": "multiply", "numpy.divide": "divide",
    "numpy.true_divide": "divide", "numpy.power": "power",
    "numpy.maximum": "maximum", "numpy.minimum": "minimum",
}  # fmt: skip


def arithmetic(recorder: Recorder, first: Any, second: Any) -> tuple[float | None, bool, tuple[bool, bool]]:
    """The number among two arguments, whether it is the first, and which of them are values."""
    numbers = [_number(recorder, first), _number(recorder, second)]
    if numbers[1] is not None and numbers[0] is None:
        return numbers[1], False, (True, False)
    if numbers[0] is not None and numbers[1] is None:
        return numbers[0], True, (False, True)
    return None, False, (True, True)


def _number(recorder: Recorder, value: Any) -> float | None:
    if is_array(value):
        if recorder.is_known(value) or math.prod(value.shape) != 1 or len(value.shape):
            return None
        return float(value)
    if isinstance(value, int | float | np.number):
        return float(value)
    return float(value) if isinstance(value, np.ndarray) and value.ndim == 0 else None


def _binary(function: str) -> Reading:
    def reading(called: Called) -> Tensor:
        names = list(called.arguments)[:2]
        constant, first, are_values = arithmetic(called.recorder, *(called[name] for name in names))
        does = kinds.Arithmetic(function=function, constant=constant, constant_first=first)
        used = [name for name, is_value in zip(names, are_values, strict=True) if is_value]
        changed = {}
        for name in used:
            if not is_array(called[name]):  # an array of NumPy's
                changed[name] = _tensor(called[name])
        return called._replace(arguments={**called.arguments, **changed}).record(does, *used)

    return reading


def _tensor(array: Any) -> Tensor:
    from keras.src import backend

    return backend.convert_to_tensor(array)


FUNCTIONS.update({name: _binary(function) for name, function in _ARITHMETIC.items()})


@reads("numpy.matmul")
def _matmul(called: Called) -> Tensor:
    second = called["x2"]
    name = called.recorder.name_of(second) if is_array(second) else None
    if name is not None and len(second.shape) == 2:  # noqa: PLR2004
        return called.record(kinds.Linear(), "x1", parameters={"kernel": Stored(name)})
    return called.record(kinds.MatrixProduct(), "x1", "x2")


@reads(
    "numpy.mean", "numpy.sum", "numpy.max", "numpy.min", "numpy.amax", "numpy.amin", "numpy.var", "numpy.std"
)
def _reduction(called: Called) -> Tensor:
    if called.arguments.get("initial") is not None:
        return NotImplemented
    function = called.function.split(".")[-1]
    function = {"var": "variance", "std": "deviation", "amax": "max", "amin": "min"}.get(function, function)
    axes = all_from_end(called["axis"], len(called.x.shape))
    return called.record(kinds.Reduction(function=function, axes=axes, keep=bool(called["keepdims"])))


@reads("numpy.reshape", "numpy.expand_dims", "numpy.squeeze", "numpy.ravel")
def _reshape(called: Called) -> Tensor:
    with called.recorder.quiet():
        shape = tuple(int(length) for length in called.again().shape)
    return called.record(kinds.Reshape(shape=shape[1:]))


@reads("numpy.transpose", "numpy.moveaxis", "numpy.swapaxes")
def _transposition(called: Called) -> Tensor:
    with called.recorder.quiet():
        shape = called.x.shape
        # Axes are read from what becomes of an array that has another length on each.
        marked = np.empty(tuple(range(2, 2 + len(shape))))
        axes = tuple(
            int(length) - 2
            for length in called.again(**{next(iter(called.arguments)): _tensor(marked)}).shape
        )
    return called.record(kinds.Transposition(axes=axes))


@reads("numpy.concatenate")
def _concatenation(called: Called) -> Tensor:
    rank = len(tree.flatten(called.x)[0].shape)
    return called.record(kinds.Concatenation(axis=from_end(called["axis"], rank)))


@reads("numpy.flip")
def _flip(called: Called) -> Tensor:
    rank = len(called.x.shape)
    axes = all_from_end(called["axis"], rank)
    parts = ["::-1" if axis in axes else ":" for axis in range(-rank, 0)]
    return called.record(kinds.Slice(index=f"[{', '.join(parts)}]"))


@reads("numpy.pad")
def _pad(called: Called) -> Tensor:
    mode = {"symmetric": "symmetric"}.get(called["mode"], called["mode"])
    rank = len(called.x.shape)
    width = np.broadcast_to(np.asarray(called["pad_width"]), (rank, 2))
    padding = tuple((int(low), int(high)) for low, high in width)
    value = float(called["constant_values"] or 0.0)
    return called.record(kinds.Padded(padding=padding, mode=mode, value=value))


@reads("nn.max_pool", "nn.average_pool")
def _pooling(called: Called) -> Tensor:
    x = called.x
    data_format = called["data_format"] or _data_format()
    lengths = spatial(x.shape, data_format)
    rank = len(lengths)
    size = tuple_of(called["pool_size"], rank)
    strides = size if called["strides"] is None else tuple_of(called["strides"], rank)
    does = kinds.Pooling(
        function="max" if called.function.endswith("max_pool") else "mean",
        size=size,
        strides=strides,
        padding=window_padding(called["padding"], lengths, size, strides, (1,) * rank),
        dilation=(1,) * rank,
        channels_first=data_format == "channels_first",
    )
    return called.record(does)


@reads("nn.adaptive_max_pool", "nn.adaptive_average_pool")
def _adaptive_pooling(called: Called) -> Tensor:
    data_format = called["data_format"] or _data_format()
    rank = len(called.x.shape) - 2
    does = kinds.AdaptivePooling(
        function="max" if "max" in called.function else "mean",
        size=tuple_of(called["output_size"], rank),
        channels_first=data_format == "channels_first",
    )
    return called.record(does)


def _data_format() -> str:
    return keras.config.image_data_format()


@reads("random.dropout")
def _dropout(called: Called) -> Tensor:
    rate = float(called["rate"])
    does = kinds.Dropout(rate=rate, active=rate > 0)
    return called.recorder.call(called.function, does, [called.x], lambda x: x)


@reads("core.cast", "core.convert_to_tensor", "core.stop_gradient", "numpy.copy", "numpy.array")
def _same(called: Called) -> Tensor:
    with called.recorder.quiet():
        result = called.again()
    if is_array(called.x):
        called.recorder.alias(result, called.x)
    return result


@reads("numpy.take")
def _take(called: Called) -> Tensor:
    table = called["x"]
    name = called.recorder.name_of(table) if is_array(table) else None
    if name is not None and called["axis"] == 0 and len(table.shape) == 2:  # noqa: PLR2004
        return called.record(kinds.Embedding(), "indices", parameters={"table": Stored(name)})
    return NotImplemented


@reads("numpy.clip")
def _clip(called: Called) -> Tensor:
    low, high = called["x_min"], called["x_max"]
    if low == 0 and high == 6:  # noqa: PLR2004
        return called.record(kinds.Activation(function="relu6"))
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return NotImplemented
    limited = called.recorder.call(
        called.function,
        kinds.Arithmetic(function="maximum", constant=float(low)),
        [called.x],
        lambda x: called.again(x=x, x_max=math.inf),
    )
    return called.recorder.call(
        called.function,
        kinds.Arithmetic(function="minimum", constant=float(high)),
        [limited],
        lambda x: called.again(x=x),
    )


@reads("numpy.stack")
def _stack(called: Called) -> Tensor:
    tensors, axis = list(called.x), from_end(called["axis"], len(called.x[0].shape) + 1)
    apart = []
    for x in tensors:
        shape = list(x.shape)
        shape.insert(len(shape) + 1 + axis, 1)
        does = kinds.Reshape(shape=tuple(shape[1:]))
        apart.append(called.recorder.call(called.function, does, [x], lambda x: called.again(x=[x])))
    return called.recorder.call(
        called.function,
        kinds.Concatenation(axis=axis),
        apart,
        lambda *parts: keras.ops.concatenate(parts, axis),
    )


@reads("numpy.repeat", "numpy.tile", "numpy.broadcast_to", "numpy.roll", "numpy.where")
def _opaque(called: Called) -> Tensor:
    return called.record(kinds.Opaque(function=called.function), *_tensors(called))


def _tensors(called: Called) -> list[str]:
    return [name for name, value in called.arguments.items() if is_array(value)]


@reads("numpy.split")
def _split(called: Called) -> Tensor:
    axis = from_end(called["axis"], len(called.x.shape))
    with called.recorder.quiet():
        lengths = [part.shape[axis] for part in called.again()]
    made, start = [], 0
    for place, length in enumerate(lengths):
        index = [":"] * len(called.x.shape)
        index[axis] = f"{start}:{start + length}"
        does = kinds.Slice(index=f"[{', '.join(index)}]")
        part = called.recorder.call(
            called.function, does, [called.x], lambda x, place=place: called.again(x=x)[place]
        )
        made.append(part)
        start += length
    return made


@reads("nn.dot_product_attention")
def _attention(called: Called) -> Tensor:
    mask, bias = called["mask"], called["bias"]
    if (mask is not None and bias is not None) or called.arguments.get("attn_logits_soft_cap"):
        return NotImplemented
    if called["query"].shape[2] != called["key"].shape[2]:
        return NotImplemented
    scale = called["scale"]
    does = kinds.Attention(
        scale=float(scale) if scale is not None else 1 / math.sqrt(called["key"].shape[-1]),
        causal_offset=0 if called["is_causal"] else None,
        masked=mask is not None or bias is not None,
        heads_axis=2,
    )
    further = "mask" if mask is not None else "bias"
    return called.record(does, "query", "key", "value", *([further] if does.masked else []))


@reads("image.resize")
def _resize(called: Called) -> Tensor:
    x, size = called["images"], tuple_of(called["size"], 2)
    data_format = called["data_format"] or _data_format()
    lengths = spatial(x.shape, data_format)
    method = called["interpolation"]
    shrinks = any(new < old for new, old in zip(size, lengths, strict=True))
    framed = called["crop_to_aspect_ratio"] or called["pad_to_aspect_ratio"]
    if framed or (called["antialias"] and shrinks) or method not in {"nearest", "bilinear", "bicubic"}:
        return NotImplemented
    channels_first = data_format == "channels_first"
    return called.record(kinds.Resize(size=size, method=method, channels_first=channels_first))


@reads("core.slice")
def _slice(called: Called) -> Tensor:
    index = [
        f"{int(start)}:{int(start) + int(length)}"
        for start, length in zip(called["start_indices"], called["shape"], strict=True)
    ]
    return called.record(kinds.Slice(index=f"[{', '.join(index)}]"), "inputs")


@reads("numpy.einsum")
def _einsum(called: Called) -> Tensor:
    operands = called["operands"]
    if len(operands) != 2 or not all(is_array(each) for each in operands):  # noqa: PLR2004
        return NotImplemented
    transposed = _product(called["subscripts"].replace(" ", ""))
    if transposed is None:
        return NotImplemented
    does = kinds.MatrixProduct(transposed=transposed)
    return called.recorder.call(
        called.function, does, operands, lambda x, y: called.original(called["subscripts"], x, y)
    )


def _product(equation: str) -> bool | None:
    """Whether an equation is a product of the last two axes, the second transposed; None if it is none."""
    left, output = equation.split("->") if "->" in equation else (equation, "")
    first, second = left.split(",")
    batch, (rows, inner) = first[:-2], first[-2:]
    if not output or len(second) != len(first) or second[:-2] != batch or output[:-1] != batch + rows:
        return None
    column = output[-1]
    return {inner + column: False, column + inner: True}.get(second[-2:])
