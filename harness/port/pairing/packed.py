"""Packed layers: linear ones and convolutions whose output is split, as query, key and value often are."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from harness.core.models.traced import Use
from harness.port.pairing.strays import squeezed
from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored, Trace


def expanded(own: Sequence[Use], others: Sequence[Use], trace: Trace) -> list[Use]:
    """Replace each of the uses ``own`` whose shape the ``others`` lack by its parts."""
    spare = Counter(map(_shape_of, own)) - Counter(map(_shape_of, others))
    result = []
    for use in own:
        pieces = _parts(use, trace) if spare[_shape_of(use)] else []
        spare[_shape_of(use)] -= bool(pieces)
        result += pieces or [use]
    return result


def _shape_of(use: Use) -> tuple[object, ...]:
    return likened_kind(use), main_shape(use)


def _parts(use: Use, trace: Trace) -> list[Use]:
    """Return the parts of a layer that slices of its output take; none unless they cover it."""
    does = trace.calls[use.place].does
    is_one = isinstance(does, kinds.Linear) or (isinstance(does, kinds.Convolution) and does.groups == 1)
    if not is_one or use.shapes.keys() - {"kernel", "bias"}:
        return []
    found = _taken_columns(use, trace)
    width = use.shapes["kernel"][-1]
    if [start for start, _ in sorted(found)] + [width] != [0, *(stop for _, stop in sorted(found))]:
        return []
    result = []
    for (start, stop), place in found.items():
        cut = {
            role: stored.then(Stored("", axis=len(use.shapes[role]) - 1, start=start, stop=stop))
            for role, stored in use.parameters.items()
        }
        shapes = {role: (*shape[:-1], stop - start) for role, shape in use.shapes.items()}
        if any(each is None for each in cut.values()):
            return []
        own = {role: each for role, each in cut.items() if each is not None}
        result.append(Use(place, use.depth, use.kind, use.path, own, shapes))
    return result


def _taken_columns(use: Use, trace: Trace) -> dict[tuple[int, int], int]:
    """Return the ranges of channels that slices take of a layer's output, with the place of each slice.

    They may take them of the output in another form, or of a sum with it.
    """
    call = trace.calls[use.place]
    outputs = call.outputs
    output = trace.values[outputs[0]].array
    whole = np.moveaxis(output, 1 if getattr(call.does, "channels_first", False) else -1, -1)
    wholes, found = dict.fromkeys(outputs, whole), dict[tuple[int, int], int]()
    for place in range(use.place + 1, len(trace.calls)):
        follower = trace.calls[place]
        before = next((wholes[value] for value in follower.inputs if value in wholes), None)
        if before is None:
            continue
        after = trace.values[follower.outputs[0]].array
        if isinstance(follower.does, kinds.Slice):
            if (columns := _columns(before, after)) is not None:
                found.setdefault(columns, place)
        elif isinstance(follower.does, kinds.Reshape | kinds.Transposition):
            wholes |= dict.fromkeys(follower.outputs, before)
        elif _is_sum(follower.does) and after.shape == output.shape:
            wholes |= dict.fromkeys(follower.outputs, after)
    return found


def _is_sum(does: kinds.Semantics) -> bool:
    return isinstance(does, kinds.Arithmetic) and does.function == "add" and does.constant is None


def _columns(whole: np.ndarray, part: np.ndarray) -> tuple[int, int] | None:
    """Find the range of columns of ``whole`` (..., columns) with the numbers of ``part``, in any order."""
    width, rest = divmod(part.size, max(1, whole[..., 0].size))
    numbers = np.sort(part, axis=None)
    for start in range(0, whole.shape[-1] - width + 1, max(1, width)) if not rest else ():
        if np.array_equal(np.sort(whole[..., start : start + width], axis=None), numbers):
            return start, start + width
    return None


def likened_kind(use: Use) -> str:
    """Return the kind of a use; a convolution of size 1 counts as linear."""
    kernel = use.shapes.get("kernel", ())
    pointwise = use.kind == "Convolution" and all(size == 1 for size in kernel[:-2])
    return "Linear" if pointwise else use.kind


def main_shape(use: Use) -> tuple[tuple[int, ...], ...]:
    """Return the shapes by which two uses are compared: those of all roles but biases, scales and shifts."""
    shapes = [
        squeezed(shape)
        for role, shape in sorted(use.shapes.items())
        if "bias" not in role and role not in {"scale", "shift"}
    ]
    return tuple(shapes)
