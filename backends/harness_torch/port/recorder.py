"""Writes down the calls of one evaluation: what they do, their values and their parameters.

A tensor is known by its identity. Tensors that were computed from constants alone are not recorded; they
become constants of the trace where a recorded call uses them.
"""

# ruff: noqa: SLF001  torch has no public names for versions of tensors, nor for switching modes off

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils import _pytree as pytree

from harness.tracing import recorder
from harness.tracing.calls import Stored
from harness.tracing.parts import composed
from harness.tracing.semantics import Opaque, Semantics
from harness.tracing.side import Override
from harness_torch.port.seen import Role, Seen, laid_out, shared_array

Tensor = torch.Tensor
Run = Callable[[list[Tensor]], Any]


class _Known(NamedTuple):
    """A tensor that stands for a value; the version rises with each change in place."""

    place: int
    version: int


class _Deferred(NamedTuple):
    """A call on a part of a parameter, which is recorded if its result is used as a value."""

    run: Run
    seen: Seen
    function: str
    path: str


class Recorder(recorder.Recorder):
    """The calls and values of an evaluation in progress.

    ``parameters`` maps names to pairs: the tensor as the model holds it, and its numbers before.
    """

    def __init__(
        self, parameters: Mapping[str, tuple[Tensor, Tensor]], overrides: Sequence[Override] = ()
    ) -> None:
        super().__init__({}, overrides)
        self.paths: list[str] = [""]
        #: Within it calls are recorded.
        self.recording: Callable[[], AbstractContextManager[Any]] = nullcontext
        self._initial = {name: initial for name, (_, initial) in parameters.items()}
        self._parts = {id(held): Stored(name) for name, (held, _) in parameters.items()}
        self._known: dict[int, _Known] = {}
        self._deferred: dict[int, _Deferred] = {}
        self._alive = [held for held, _ in parameters.values()]

    @property
    def path(self) -> str:
        return self.paths[-1]

    def numbers(self, tensor: Tensor) -> np.ndarray:
        """What it holds, copied, since it may be written into."""
        return np.array(shared_array(tensor))

    def numbers_of(self, name: str) -> np.ndarray:
        return shared_array(self._initial[name])

    def replacement(self, array: np.ndarray, of: Tensor) -> Tensor:
        return torch.from_numpy(np.array(array)).to(of.dtype).reshape(of.shape)

    def place(self, tensor: Tensor) -> int:
        return self._use(tensor)[0]

    def is_live(self, tensor: Tensor) -> bool:
        """Whether a tensor is an input or a parameter, or was computed from one."""
        known = self._known.get(id(tensor))
        return id(tensor) in self._parts or (
            known is not None and self.trace.values[known.place].source != "constant"
        )

    def part(self, tensor: Tensor) -> Stored | None:
        """The part of a parameter that a tensor is, if it is one."""
        return self._parts.get(id(tensor))

    def alias(self, tensor: Tensor, of: Tensor) -> None:
        """Take a tensor for the same value as another one."""
        if tensor is of or not self.is_live(of):
            return
        if (part := self.part(of)) is not None:
            self._parts[id(tensor)] = part
            if (deferred := self._deferred.get(id(of))) is not None:
                self._deferred[id(tensor)] = deferred
        else:
            self.identify(tensor, self.place(of))
        self._alive += [tensor, of]

    def defer(self, run: Run, seen: Seen, function: str) -> Tensor | None:
        """Carry out a call on a part of a parameter; None if its result is no such part."""
        stored = self.part(seen.inputs[0])
        if stored is None or seen.part is None:
            return None
        with torch._C.DisableTorchFunction():
            result: Tensor = run(list(seen.inputs))
        part = seen.part(stored, result)
        if part is None:
            return None
        self._parts[id(result)] = part
        self._deferred[id(result)] = _Deferred(run, seen, function, self.paths[-1])
        self._alive.append(result)
        return result

    def carry_out(self, seen: Seen, run: Run, function: str, changed: Sequence[Tensor] = ()) -> Any:
        """Carry out and record a call; ``run`` takes the inputs.

        ``changed`` are tensors that the call may write into beside those that it returns. A call that
        gives no tensors at all, as the query of a shape, is not recorded.
        """
        used = [self._use(tensor) for tensor in seen.inputs]
        parameters, computed = self._roles(seen.parameters)
        number = len(self.trace.calls)
        tensors = self.overridden("input", number, [tensor for _, tensor in used])
        unknown, places = Opaque(function=function), [place for place, _ in used + computed]
        call = self.begin(function, unknown, places, parameters)
        with torch._C.DisableTorchFunction():
            versions = {id(tensor): tensor._version for tensor in (*tensors, *changed)}
            leaves, structure = pytree.tree_flatten(run(tensors))
            made = self._as_outputs(leaves, versions, number)
            made += [
                each
                for each in changed
                if each._version != versions[id(each)] and not any(each is other for other in made)
            ]
            if not made:
                self.trace.calls.pop()
                return pytree.tree_unflatten(leaves, structure)
            call.does = seen.does if isinstance(seen.does, Semantics) else seen.does(made[0])
        call.outputs = [self.add(tensor, "call") for tensor in made]
        return pytree.tree_unflatten(leaves, structure)

    def seen(self, output: Tensor, inputs: Sequence[Tensor]) -> Tensor:
        """An output of the model, which is an opaque call of the inputs if no recorded call gave it."""
        if self.is_live(output):
            return output
        function = "functions that torch does not show"
        result: Tensor = self.carry_out(Seen(Opaque(function=function), inputs), lambda _: output, function)
        return result

    def rename(self, tensor: Tensor, to: Tensor) -> None:
        """Make a tensor, into which a result was copied, the value of that result."""
        self.identify(tensor, self.place(to))

    def _roles(self, wanted: Mapping[str, Role]) -> tuple[dict[str, Stored], list[tuple[int, Tensor]]]:
        """Parameters by role; those that are computed from parameters are used as values, in this order."""
        parameters: dict[str, Stored] = {}
        computed = []
        for name, role in wanted.items():
            part = self.part(role.tensor)
            whole = None if part is None else composed(part, role.layout)
            if whole is None:
                with self.recording():
                    canonical = laid_out(role)
                computed.append(self._use(canonical))
            else:
                parameters[name] = whole
                self.parameter(whole.name)
        return parameters, computed

    def _use(self, tensor: Tensor) -> tuple[int, Tensor]:
        """The place of a tensor among the values, and the tensor to compute with."""
        part = self.part(tensor)
        if id(tensor) in self._known:
            return self._current(tensor), tensor
        if part is None:
            return self.add(tensor, "constant"), tensor
        deferred = self._deferred.get(id(tensor))
        if deferred is None:
            return self.parameter(part.name), tensor
        self.paths.append(deferred.path)
        made: Tensor = self.carry_out(deferred.seen, deferred.run, deferred.function)
        self.paths.pop()
        self._known[id(tensor)] = self._known[id(made)]
        return self._known[id(made)].place, made

    def _current(self, tensor: Tensor) -> int:
        """The place of a known tensor; a new one if it was changed through another that shares its memory."""
        known = self._known[id(tensor)]
        if known.version == tensor._version:
            return known.place
        array = self.trace.values[known.place].array
        if np.array_equal(array, self.numbers(tensor), equal_nan=array.dtype.kind == "f"):
            return known.place
        function = "change in place"
        call = self.begin(function, Opaque(function=function), [known.place])
        call.outputs = [self.add(tensor, "call")]
        return call.outputs[0]

    def identify(self, tensor: Tensor, place: int) -> int:
        self._known[id(tensor)] = _Known(place, tensor._version)
        self._parts.pop(id(tensor), None)
        self._alive.append(tensor)
        return place

    def _as_outputs(self, leaves: list[Any], versions: Mapping[int, int], number: int) -> list[Tensor]:
        """The tensors among a call's results, after overrides; a result that is an input becomes a new one.

        ``leaves`` are changed accordingly. ``versions`` are those of the inputs before the call, so that one
        that the call wrote into is distinguished from one that it only returns.
        """
        places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        made = [leaves[place] for place in places]
        for place, before, new in zip(places, made, self.overridden("output", number, made), strict=True):
            if new is not before:
                leaves[place] = before.copy_(new) if id(before) in versions else new
            if versions.get(id(leaves[place])) == leaves[place]._version:
                leaves[place] = leaves[place].view_as(leaves[place])
        return [leaves[place] for place in places]
