"""What a call computes, in terms that no framework owns.

One struct for each kind of function. Two calls of a kind whose fields are equal compute the same; a field
that differs is a candidate for the cause of a difference. Fields of :data:`LAYOUT_FIELDS` say how arrays lie
in memory and never are a cause. Axes count from the end (``-1``), as far as the side knows the number of
dimensions, and refer to the arrays of the call as the framework has them. Shapes of parameters are given with
each kind: the canonical ones, into which every side converts its own (see
:class:`harness.tracing.calls.Stored`).
"""

import functools
import operator
from typing import TYPE_CHECKING, Literal

import msgspec

#: Fields that describe the layout of arrays.
LAYOUT_FIELDS = frozenset({"channels_first", "batch_first"})

Padding = tuple[tuple[int, int], ...]


class Semantics(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all kinds."""


class Linear(Semantics, frozen=True):
    """``x kernel + bias`` on the last axis. Parameters: kernel (inputs, outputs), bias (outputs,)."""


class Convolution(Semantics, frozen=True):
    """Cross-correlation over the spatial axes.

    Parameters: kernel (*sizes, inputs / groups, outputs), bias (outputs,). A transposed one is the gradient
    of the forward one with these fields; its kernel has the same canonical shape (*sizes, inputs, outputs)
    and is applied such that input position ``i`` adds ``kernel[t]`` to output position ``i * stride + t *
    dilation - low``. ``padding`` has a pair (low, high) for each spatial axis; of a transposed one it is what
    is cut off the output.
    """

    strides: tuple[int, ...]
    padding: Padding
    dilation: tuple[int, ...]
    groups: int = 1
    transposed: bool = False
    channels_first: bool = False


class BatchNormalization(Semantics, frozen=True):
    """Normalises each channel over the batch and all positions; in evaluation with the running statistics.

    Parameters: scale, shift, running_mean, running_variance (all (channels,)). In training the variance of
    the batch is the biased one, and ``running = (1 - momentum) * running + momentum * batch``, where the
    variance that enters is unbiased if ``unbiased_running_variance``. ``training`` says which statistics the
    call used.
    """

    epsilon: float
    momentum: float
    unbiased_running_variance: bool
    training: bool = False
    channels_first: bool = False


class LayerNormalization(Semantics, frozen=True):
    """Normalises over ``axes`` with the biased variance. Parameters: scale, shift, of the shape of the axes.

    ``centered`` is False for the root mean square norm.
    """

    epsilon: float
    axes: tuple[int, ...]
    centered: bool = True


class GroupNormalization(Semantics, frozen=True):
    """Normalises groups of channels over all positions of a sample. Parameters: scale, shift (channels,)."""

    groups: int
    epsilon: float
    channels_first: bool = False


class Embedding(Semantics, frozen=True):
    """Rows of a table by integer. Parameters: table (tokens, width)."""


class Recurrent(Semantics, frozen=True):
    """A recurrent layer over the time axis, in one direction.

    Parameters, for each gate g in :data:`GATES` of the cell: kernel_g (inputs, units), recurrent_g (units,
    units), bias_g (units,), recurrent_bias_g (units,); a side with one bias gives bias_g alone. With
    ``reset_after`` the reset gate is applied after the product with recurrent_n (torch, cuDNN), else before.
    Outputs: all steps, or the last one. ``masked`` says that steps are left out where a mask, given as the
    last input, is False: the state stays as it was, and the output is that of the step before.
    """

    cell: Literal["rnn", "gru", "lstm"]
    reset_after: bool = True
    reverse: bool = False
    returns: Literal["steps", "last"] = "steps"
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    batch_first: bool = True
    masked: bool = False


#: The gates of each cell: (z) update, (r) reset, (n) new; (i) input, (f) forget, (g) cell, (o) output.
GATES = {"rnn": ("h",), "gru": ("z", "r", "n"), "lstm": ("i", "f", "g", "o")}


class Attention(Semantics, frozen=True):
    """``softmax(scale * q k^T + mask) v`` of three inputs (batch, heads, length, depth).

    ``causal_offset`` is None without a causal mask; 0 lets a position see itself and what is before it, -1
    not itself, 1 also the next. ``masked`` says that there is a further mask, given as fourth input (added).
    ``heads_axis`` is where the inputs have the heads: 1, or 2 for (batch, length, heads, depth). The softmax
    is that of the scores (..., queries, keys) over ``softmax_axis``, which is -2 by mistake alone.
    """

    scale: float
    causal_offset: int | None = None
    masked: bool = False
    heads_axis: int = 1
    softmax_axis: int = -1


class Activation(Semantics, frozen=True):
    """An elementwise function.

    One of relu, relu6, leaky_relu, elu, selu, celu, gelu, gelu_tanh, silu, tanh, sigmoid, softplus,
    hard_sigmoid, hard_swish, mish, exp, log, sqrt, rsqrt, square, abs, negative, identity. ``slope`` is that
    of leaky_relu and hard_sigmoid, and alpha of elu and celu.
    """

    function: str
    slope: float | None = None


class Softmax(Semantics, frozen=True):
    """Softmax over an axis, or its logarithm."""

    axis: int
    logarithm: bool = False


class Pooling(Semantics, frozen=True):
    """The maximum or the mean of windows over the spatial axes.

    The mean counts padding as zeros if ``counts_padding``, else what is there alone.
    """

    function: Literal["max", "mean"]
    size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Padding
    dilation: tuple[int, ...] = ()
    counts_padding: bool = False
    channels_first: bool = False


class AdaptivePooling(Semantics, frozen=True):
    """The maximum or mean of windows so chosen that the output has ``size`` positions."""

    function: Literal["max", "mean"]
    size: tuple[int, ...]
    channels_first: bool = False


class Reduction(Semantics, frozen=True):
    """mean, sum, max, min, variance or deviation over axes; global pooling is one.

    The sum of squares is divided by ``n - correction`` for the variance and the deviation.
    """

    function: str
    axes: tuple[int, ...]
    keep: bool = False
    correction: float = 0.0


class Reshape(Semantics, frozen=True):
    """Another shape of the same elements in row-major order, without the batch axis; flattening is one."""

    shape: tuple[int, ...]


class Transposition(Semantics, frozen=True):
    """Another order of the axes, batch included."""

    axes: tuple[int, ...]


class Arithmetic(Semantics, frozen=True):
    """add, subtract, multiply, divide, power, maximum, minimum of two values with broadcasting.

    Where one is a number, it is ``constant``, on the right unless ``constant_first``.
    """

    function: str
    constant: float | None = None
    constant_first: bool = False


class MatrixProduct(Semantics, frozen=True):
    """The product of two values over their last two axes, the second one transposed if ``transposed``."""

    transposed: bool = False


class Contraction(Semantics, frozen=True):
    """The sum of products of two or more values that an equation gives, as ``bqhd,bkhd->bhqk``."""

    equation: str


class Concatenation(Semantics, frozen=True):
    """Values side by side along an axis."""

    axis: int


class Slice(Semantics, frozen=True):
    """A part of a value: for each axis (start, stop, step), or one index; as text, ``[:, -1]``."""

    index: str


class Gather(Semantics, frozen=True):
    """Positions of an axis of the first value, by the integers of the second one."""

    axis: int


class Selection(Semantics, frozen=True):
    """The elements of the second value where the first one is true, else those of the third."""


class Padded(Semantics, frozen=True):
    """A border around a value, (low, high) for each axis, batch included: constant, reflect or edge."""

    padding: Padding
    mode: str = "constant"
    value: float = 0.0


class Resize(Semantics, frozen=True):
    """Spatial resizing to ``size``, by nearest, bilinear or bicubic (Keys 1981).

    ``align_corners`` makes the corners fall on each other; else ``half_pixel`` centres count.
    ``coefficient`` is the ``a`` of bicubic. With ``antialias`` the kernel is as much wider as the picture
    gets smaller. Positions outside count as the nearest ones inside, or not at all if ``inside`` (the weights
    are then divided by their sum).
    """

    size: tuple[int, ...]
    method: Literal["nearest", "bilinear", "bicubic"]
    align_corners: bool = False
    half_pixel: bool = True
    channels_first: bool = False
    coefficient: float | None = None
    antialias: bool = False
    inside: bool = False


class Dropout(Semantics, frozen=True):
    """Random zeros, which a side leaves out; ``active`` says whether the framework would have drawn them."""

    rate: float
    active: bool


class Opaque(Semantics, frozen=True):
    """A call that the side cannot describe."""

    function: str


if TYPE_CHECKING:
    AnySemantics = Semantics
else:
    #: Every kind of call; messages are tagged with it.
    AnySemantics = functools.reduce(operator.or_, Semantics.__subclasses__())
