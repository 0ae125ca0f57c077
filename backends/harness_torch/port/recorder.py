"""Writes down the calls of one evaluation: what they do, their values and their parameters.

A tensor is known by its identity. Tensors that were computed from constants alone are not recorded; they
become constants of the trace where a recorded call uses them.
"""

# ruff: noqa: SLF001  torch has no public names for versions of tensors, nor for switching modes off

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from harness.tracing import recorder
from harness.tracing.calls import Stored
from harness.tracing.semantics import Opaque, Semantics
from harness.tracing.side import Override
from harness_torch.port.seen import Role, Seen, laid_out, shared_array

Tensor = torch.Tensor
Run = Callable[[list[Tensor]], Any]


class Recorder(recorder.Recorder):
    """The calls and values of an evaluation in progress.

    ``parameters`` maps names to pairs: the tensor as the model holds it, and its numbers before.
    """

    def __init__(
        self, parameters: Mapping[str, tuple[Tensor, Tensor]], overrides: Sequence[Override] = ()
    ) -> None:
        super().__init__({id(held): name for name, (held, _) in parameters.items()}, overrides)
        #: Within it calls are recorded.
        self.recording: Callable[[], AbstractContextManager[Any]] = nullcontext
        self._initial = {name: initial for name, (_, initial) in parameters.items()}
        #: Of tensors that stand for values; a version rises with each change in place.
        self._versions: dict[int, int] = {}
        self._alive += [held for held, _ in parameters.values()]

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Turn off all function modes of torch for a while, so that no mode sees the calls."""
        with torch._C.DisableTorchFunction():
            yield

    def numbers(self, tensor: Tensor) -> np.ndarray:
        """Copy the numbers that a tensor holds now, since the tensor may be written into."""
        return np.array(shared_array(tensor))

    def numbers_of(self, name: str) -> np.ndarray:
        return shared_array(self._initial[name])

    def replacement(self, array: np.ndarray, of: Tensor) -> Tensor:
        return torch.from_numpy(np.array(array)).to(of.dtype).reshape(of.shape)

    def place(self, tensor: Tensor) -> int:
        return self._current(tensor) if id(tensor) in self._places else super().place(tensor)

    def knows(self, tensor: Tensor) -> bool:
        """Check that a tensor is an input or a parameter, or was computed from one."""
        place = self._places.get(id(tensor))
        is_value = place is not None and self.trace.values[place].source != "constant"
        return is_value or self.part(tensor) is not None

    def carry_out(self, seen: Seen, run: Run, function: str, changed: Sequence[Tensor] = ()) -> Any:
        """Carry out and record a call; ``run`` takes the inputs.

        ``changed`` are tensors that the call may write into besides its results. A call that returns no
        tensors at all, such as a query of the shape, is not recorded.
        """
        used = [self.used(tensor) for tensor in seen.inputs]
        parameters, computed = self._roles(seen.parameters)
        places = [self.place(tensor) for tensor in used + computed]
        number = len(self.trace.calls)
        tensors = self.overridden("input", number, used)
        call = self.begin(function, Opaque(function=function), places, parameters)
        with self.quiet():
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
        """Return an output of the model; record an opaque call of ``inputs`` if no recorded call gave it."""
        if self.knows(output):
            return output
        function = "functions that torch does not show"
        result: Tensor = self.carry_out(Seen(Opaque(function=function), inputs), lambda _: output, function)
        return result

    def _roles(self, wanted: Mapping[str, Role]) -> tuple[dict[str, Stored], list[Tensor]]:
        """Return stored parameters by role, and the tensors computed from parameters, in order of roles."""
        parameters: dict[str, Stored] = {}
        computed = []
        for name, role in wanted.items():
            whole = self.part(role.tensor, role.layout)
            if whole is None:
                with self.recording():
                    canonical = laid_out(role)
                computed.append(self.used(canonical))
            else:
                parameters[name] = whole
                self.parameter(whole.name)
        return parameters, computed

    def _current(self, tensor: Tensor) -> int:
        """Return the place of a known tensor, a new place if the tensor was changed through shared memory."""
        place = self._places[id(tensor)]
        if self._versions.get(id(tensor), tensor._version) == tensor._version:
            return place
        array = self.trace.values[place].array
        if np.array_equal(array, self.numbers(tensor), equal_nan=array.dtype.kind == "f"):
            return place
        function = "change in place"
        call = self.begin(function, Opaque(function=function), [place])
        call.outputs = [self.add(tensor, "call")]
        return call.outputs[0]

    def identify(self, tensor: Tensor, place: int) -> int:
        self._versions[id(tensor)] = tensor._version
        for parameters in (self.names, self._parts):
            parameters.pop(id(tensor), None)
        return super().identify(tensor, place)

    def _as_outputs(self, leaves: list[Any], versions: Mapping[int, int], number: int) -> list[Tensor]:
        """Return the tensors among a call's results, after overrides; a result that is an input is replaced.

        ``leaves`` are changed accordingly. ``versions`` are the versions of the inputs before the call; they
        distinguish an input that the call wrote into from an input that it only returns.
        """
        places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        made = [leaves[place] for place in places]
        for place, before, new in zip(places, made, self.overridden("output", number, made), strict=True):
            if new is not before:
                leaves[place] = before.copy_(new) if id(before) in versions else new
            if versions.get(id(leaves[place])) == leaves[place]._version:
                leaves[place] = leaves[place].view_as(leaves[place])
        return [leaves[place] for place in places]
