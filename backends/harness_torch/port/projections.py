"""Packed projections: one linear layer whose output is split, as query, key and value often are.

Other frameworks have one layer for each part. So a part of a linear layer's output is recorded as the linear
layer with that part of the kernel, beside the whole one. Parts are recognised by their numbers.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch

from harness.tracing import semantics as kinds
from harness_torch.port import parts
from harness_torch.port.recorder import Recorder
from harness_torch.port.seen import Role, Seen, Tensor

_HEADS = 4


class _Whole(NamedTuple):
    """A linear layer: its input and output (..., outputs), of the same leading shape."""

    given: Tensor
    output: Tensor
    seen: Seen
    function: str
    path: str


class _Found(NamedTuple):
    """Columns of a layer's output, and how many steps lead from them to a tensor (see ``_forms``)."""

    whole: _Whole
    start: int
    width: int
    form: int


class Projections:
    """Follows the outputs of linear layers through changes of shape to where they are split."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._wholes: dict[int, list[_Whole]] = {}
        self._flattened: dict[int, Tensor] = {}

    def note(self, seen: Seen, result: Tensor, function: str) -> None:
        """See a call that was recorded."""
        if isinstance(seen.does, kinds.Linear):
            self._wholes[id(result)] = self._of_linear(seen, result, function)
        elif seen.part is not None and id(seen.inputs[0]) in self._wholes:
            self._wholes[id(result)] = self._wholes[id(seen.inputs[0])]
        elif seen.part is not None and seen.inputs[0].shape[-1:] == result.shape[-1:]:
            self._flattened[id(result)] = seen.inputs[0]

    def _of_linear(self, seen: Seen, result: Tensor, function: str) -> list[_Whole]:
        """The layer as it is, and with its input as it was before leading axes were flattened."""
        given, path = seen.inputs[0], self._recorder.paths[-1]
        wholes = [_Whole(given, result, seen, function, path)]
        before = self._flattened.get(id(given))
        if before is not None and before.shape[:-1].numel() == result.shape[:-1].numel():
            shaped = result.view(*before.shape[:-1], result.shape[-1])
            wholes.append(_Whole(before, shaped, seen, function, path))
        return wholes

    def part(self, seen: Seen, result: Tensor, recording: AbstractContextManager[object]) -> Tensor | None:
        """The result of a slice as that of a linear layer with a part of the kernel, if it is one."""
        with torch._C.DisableTorchFunction():  # noqa: SLF001  torch has no public name for it
            found = self._find(self._wholes.get(id(seen.inputs[0]), []), result)
        if found is None:
            return None
        whole, start, width, form = found
        cut = {name: _cut(role, start, width) for name, role in whole.seen.parameters.items()}
        roles = {name: role for name, role in cut.items() if role is not None}
        if len(roles) < len(cut) or not all(map(self._is_stored, roles.values())):
            return None
        self._recorder.paths.append(whole.path)
        piece: Tensor = self._recorder.call(
            Seen(kinds.Linear(), [whole.given], roles),
            lambda _: whole.output.narrow(-1, start, width),
            whole.function,
        )
        self._recorder.paths.pop()
        with recording:
            return list(_forms(piece, result))[form]

    def _find(self, wholes: list[_Whole], result: Tensor) -> _Found | None:
        for whole in wholes:
            width, rest = divmod(result.numel(), max(1, whole.output.shape[:-1].numel()))
            columns = whole.output.shape[-1]
            if rest or not 0 < width < columns:
                continue
            for start in (*range(0, columns - width + 1, width), columns - width):
                for form, tensor in enumerate(_forms(whole.output.narrow(-1, start, width), result)):
                    if tensor.shape == result.shape and torch.equal(tensor, result):
                        return _Found(whole, start, width, form)
        return None

    def _is_stored(self, role: Role) -> bool:
        part = self._recorder.part(role.tensor)
        return part is not None and parts.composed(part, role.layout) is not None


def _cut(role: Role, start: int, width: int) -> Role | None:
    """The columns of a kernel (inputs, outputs), or the same numbers of a bias (outputs,)."""
    layout = parts.sliced(role.layout, role.tensor.dim() - 1, start, start + width)
    return None if layout is None else Role(role.tensor, layout)


def _forms(piece: Tensor, result: Tensor) -> Iterator[Tensor]:
    """A part as it is, with its heads on an axis of their own, and with that axis before the positions."""
    yield piece
    if result.dim() == _HEADS == piece.dim() + 1:
        for heads in dict.fromkeys((result.shape[2], result.shape[1])):
            if piece.shape[-1] % heads == 0:
                split = piece.unflatten(-1, (heads, -1))
                yield split
                yield split.transpose(1, 2)
