"""Pairs of padding that Keras's words for it amount to."""

from collections.abc import Sequence

from harness.tracing.semantics import Padding


def tuple_of(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """One number for each spatial axis."""
    return (value,) * rank if isinstance(value, int) else tuple(int(each) for each in value)


def window_padding(
    padding: str,
    lengths: Sequence[int],
    size: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
) -> Padding:
    """(low, high) for each spatial axis; ``same`` depends on the length and the stride."""
    each = zip(lengths, size, strides, dilation, strict=True)
    return tuple(_pair(padding, *axis) for axis in each)


def _pair(padding: str, length: int, size: int, stride: int, dilation: int) -> tuple[int, int]:
    reach = (size - 1) * dilation
    if padding == "causal":
        return reach, 0
    if padding == "valid":
        return 0, 0
    total = max((-(-length // stride) - 1) * stride + reach + 1 - length, 0)
    return total // 2, total - total // 2


def transposed_padding(
    padding: str,
    lengths: Sequence[int],
    outputs: Sequence[int],
    size: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
) -> Padding:
    """What a transposed convolution cuts off its output, given the lengths of inputs and outputs."""
    pairs = []
    for axis in zip(lengths, outputs, size, strides, dilation, strict=True):
        length, output, extent, stride, rate = axis
        full = (length - 1) * stride + (extent - 1) * rate + 1
        # The padding of the convolution whose gradient this is.
        low, _ = _pair(padding, output, extent, stride, rate)
        pairs.append((low, full - low - output))
    return tuple(pairs)


def spatial(shape: Sequence[int], data_format: str) -> tuple[int, ...]:
    """The spatial lengths of an array with batch and channels."""
    return tuple(shape[2:] if data_format == "channels_first" else shape[1:-1])


def from_end(axis: int, rank: int) -> int:
    """An axis counted from the end."""
    return axis if axis < 0 else axis - rank


def all_from_end(axes: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Axes counted from the end, in order; None stands for all."""
    if axes is None:
        return tuple(range(-rank, 0))
    axes = [axes] if isinstance(axes, int) else axes
    return tuple(sorted(from_end(int(axis), rank) for axis in axes))
