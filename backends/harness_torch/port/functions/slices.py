"""Parts of tensors: indexing, narrowing and selecting."""

from typing import Any, NamedTuple

from harness.tracing import parts
from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness_torch.port.seen import Seen, Tensor, from_end, from_start, roles, translates
from harness_torch.port.tracer import active

_MATRIX = 2


class _Place(NamedTuple):
    """The index of one axis: a slice or a number."""

    axis: int
    at: slice | int


@translates("narrow")
def narrowed(x: Tensor, dim: int, start: int, length: int) -> Seen:
    """A range of an axis."""
    start = from_start(int(start), x.shape[dim])
    return _sliced(x, [_Place(from_start(dim, x.dim()), slice(start, start + length))])


@translates("select")
def selected(x: Tensor, dim: int, index: int) -> Seen:
    """One position of an axis."""
    return _sliced(x, [_Place(from_start(dim, x.dim()), int(index))])


@translates("flip")
def flipped(x: Tensor, *dims: Any) -> Seen:
    """Axes in reversed order."""
    axes = dims[0] if len(dims) == 1 and isinstance(dims[0], list | tuple) else dims
    return _sliced(x, [_Place(from_start(axis, x.dim()), slice(None, None, -1)) for axis in axes])


@translates("getitem")
def indexed(x: Tensor, index: Any) -> Seen | None:
    """Numbers and slices; a table that is a parameter is read by integers."""
    whole = index if isinstance(index, tuple) else (index,)
    if isinstance(index, Tensor) and not index.dtype.is_floating_point and index.dim():
        return _rows(x, index) or _gathered(x, (index,))
    if (gathered := _gathered(x, whole)) is not None:
        return gathered
    if any(each is not None and not isinstance(each, int | slice | type(...)) for each in whole):
        return None
    if any(isinstance(each, bool) for each in whole):
        return None
    if None in whole:
        plain = all(each is None or each is ... or each == slice(None) for each in whole)
        return _reshaping(x) if plain else None
    return _sliced(x, _places(whole, x.dim()))


@translates("index_select")
def taken(x: Tensor, dim: int, index: Tensor) -> Seen:
    """Positions of an axis by their numbers."""
    return Seen(kinds.Gather(axis=from_end(dim, x.dim())), [x, index])


def _gathered(x: Tensor, whole: tuple[Any, ...]) -> Seen | None:
    """An index of integers along one axis, all of the others."""
    tensors = [place for place, each in enumerate(whole) if isinstance(each, Tensor)]
    others = [each for each in whole if not isinstance(each, Tensor)]
    if len(tensors) != 1 or any(each is not ... and each != slice(None) for each in others):
        return None
    place, index = tensors[0], whole[tensors[0]]
    if index.dtype.is_floating_point or index.dtype.itemsize == 1 or not index.dim():
        return None
    return Seen(
        kinds.Gather(axis=place - len(whole) if ... in whole[:place] else place - x.dim()), [x, index]
    )


def _rows(x: Tensor, index: Tensor) -> Seen | None:
    if index.dtype.itemsize == 1 or x.dim() != _MATRIX or active().recorder.part(x) is None:
        return None
    return Seen(kinds.Embedding(), [index], roles(table=x))


def _reshaping(x: Tensor) -> Seen:
    return Seen(
        lambda result: kinds.Reshape(shape=tuple(result.shape[1:])),
        [x],
        part=lambda stored, result: parts.reshaped(stored, tuple(result.shape)),
    )


def _places(index: tuple[Any, ...], dimensions: int) -> list[_Place]:
    before = index.index(...) if ... in index else len(index)
    after = index[before + 1 :]
    places = [_Place(axis, each) for axis, each in enumerate(index[:before])]
    return places + [_Place(dimensions - len(after) + number, each) for number, each in enumerate(after)]


def _sliced(x: Tensor, places: list[_Place]) -> Seen:
    cut = [place for place in places if not _is_whole(place.at, x.shape[place.axis])]
    texts = [":"] * (max((place.axis for place in cut), default=-1) + 1)
    for axis, index in cut:
        texts[axis] = _text(index, x.shape[axis])

    def part(stored: Stored, result: Tensor) -> Stored | None:
        if len(cut) != 1:
            return None
        axis, index = cut[0]
        length = x.shape[axis]
        if isinstance(index, int):
            start = from_start(index, length)
            one = parts.sliced(stored, axis, start, start + 1)
            return None if one is None else parts.reshaped(one, tuple(result.shape))
        start, stop, step = index.indices(length)
        return parts.sliced(stored, axis, start, stop) if step == 1 else None

    return Seen(kinds.Slice(index=f"[{', '.join(texts) or ':'}]"), [x], part=part)


def _is_whole(index: slice | int, length: int) -> bool:
    return isinstance(index, slice) and index.indices(length) == (0, length, 1)


def _text(index: slice | int, length: int) -> str:
    if isinstance(index, int):
        return str(index)
    start = "" if index.start in (None, 0) else str(index.start)
    stop = "" if index.stop is None or index.stop >= length else str(index.stop)
    step = "" if index.step in (None, 1) else f":{index.step}"
    return f"{start}:{stop}{step}"
