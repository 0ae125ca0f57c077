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

from harness.tracing.calls import Call, Stored, Trace, Value
from harness.tracing.parts import composed
from harness.tracing.semantics import Opaque, Semantics
from harness.tracing.side import Override
from harness.tracing.user_code import user_line
from harness_torch.port.seen import (
    Role,
    Seen,
    contains,
    laid_out,
    put_in_place,
    replacement,
    shared_array,
    to_array,
)

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


class Recorder:
    """The calls and values of an evaluation in progress.

    ``parameters`` maps names to pairs: the tensor as the model holds it, and its numbers before.
    """

    def __init__(
        self, parameters: Mapping[str, tuple[Tensor, Tensor]], overrides: Sequence[Override] = ()
    ) -> None:
        self.trace = Trace([], [], [], [])
        self.paths: list[str] = [""]
        #: Within it calls are recorded.
        self.recording: Callable[[], AbstractContextManager[Any]] = nullcontext
        self._initial = {name: initial for name, (_, initial) in parameters.items()}
        self._parts = {id(held): Stored(name) for name, (held, _) in parameters.items()}
        self._named: dict[str, int] = {}
        self._known: dict[int, _Known] = {}
        self._deferred: dict[int, _Deferred] = {}
        self._alive: list[Tensor] = [held for held, _ in parameters.values()]
        self._overrides: dict[int, list[Override]] = {}
        for override in overrides:
            self._overrides.setdefault(override.call, []).append(override)

    def is_live(self, tensor: Tensor) -> bool:
        """Whether a tensor is an input or a parameter, or was computed from one."""
        known = self._known.get(id(tensor))
        return id(tensor) in self._parts or (
            known is not None and self.trace.values[known.place].source != "constant"
        )

    def part(self, tensor: Tensor) -> Stored | None:
        """The part of a parameter that a tensor is, if it is one."""
        return self._parts.get(id(tensor))

    def add_input(self, tensor: Tensor, name: str) -> None:
        """Make a tensor an input of the model."""
        self.trace.inputs.append(self._add(tensor, "input", name))

    def add_output(self, tensor: Tensor, name: str) -> None:
        """Make a tensor an output of the model."""
        place, _ = self._use(tensor)
        value = self.trace.values[place]
        value.name = value.name or name
        self.trace.outputs.append(place)

    def alias(self, tensor: Tensor, of: Tensor) -> None:
        """Take a tensor for the same value as another one."""
        if tensor is of or not self.is_live(of):
            return
        if (part := self.part(of)) is not None:
            self._parts[id(tensor)] = part
            if (deferred := self._deferred.get(id(of))) is not None:
                self._deferred[id(tensor)] = deferred
        else:
            place, _ = self._use(of)
            self._known[id(tensor)] = _Known(place, tensor._version)
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

    def call(self, seen: Seen, run: Run, function: str, changed: Sequence[Tensor] = ()) -> Any:
        """Carry out and record a call; ``run`` takes the inputs.

        ``changed`` are tensors that the call may write into beside those that it returns. A call that
        gives no tensors at all, as the query of a shape, is not recorded.
        """
        used = [self._use(tensor) for tensor in seen.inputs]
        parameters, computed = self._roles(seen.parameters)
        overrides = self._overrides.get(len(self.trace.calls), ())
        tensors = [tensor for _, tensor in used]
        for override in overrides:
            if override.of == "input" and override.place < len(tensors):
                tensors[override.place] = replacement(override.array, tensors[override.place])
        call = Call(
            path=self.paths[-1],
            function=function,
            does=Opaque(function=function),
            inputs=[place for place, _ in used + computed],
            outputs=[],
            parameters=parameters,
            line=user_line(),
        )
        self.trace.calls.append(call)
        with torch._C.DisableTorchFunction():
            versions = {id(tensor): tensor._version for tensor in (*tensors, *changed)}
            leaves, structure = pytree.tree_flatten(run(tensors))
            made = _as_outputs(leaves, versions, overrides)
            made += [
                each for each in changed if each._version != versions[id(each)] and not contains(made, each)
            ]
            if not made:
                self.trace.calls.pop()
                return pytree.tree_unflatten(leaves, structure)
            call.does = seen.does if isinstance(seen.does, Semantics) else seen.does(made[0])
        call.outputs = [self._add(tensor, "call") for tensor in made]
        return pytree.tree_unflatten(leaves, structure)

    def seen(self, output: Tensor, inputs: Sequence[Tensor]) -> Tensor:
        """An output of the model, which is an opaque call of the inputs if no recorded call gave it."""
        if self.is_live(output):
            return output
        function = "functions that torch does not show"
        result: Tensor = self.call(Seen(Opaque(function=function), inputs), lambda _: output, function)
        return result

    def rename(self, tensor: Tensor, to: Tensor) -> None:
        """Make a tensor, into which a result was copied, the value of that result."""
        place, _ = self._use(to)
        self._known[id(tensor)] = _Known(place, tensor._version)
        self._parts.pop(id(tensor), None)
        self._alive.append(tensor)

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
                self._parameter(whole.name)
        return parameters, computed

    def _use(self, tensor: Tensor) -> tuple[int, Tensor]:
        """The place of a tensor among the values, and the tensor to compute with."""
        part = self.part(tensor)
        if id(tensor) in self._known:
            return self._current(tensor), tensor
        if part is None:
            return self._add(tensor, "constant"), tensor
        deferred = self._deferred.get(id(tensor))
        if deferred is None:
            return self._parameter(part.name), tensor
        self.paths.append(deferred.path)
        made: Tensor = self.call(deferred.seen, deferred.run, deferred.function)
        self.paths.pop()
        self._known[id(tensor)] = self._known[id(made)]
        return self._known[id(made)].place, made

    def _current(self, tensor: Tensor) -> int:
        """The place of a known tensor; a new one if it was changed through another that shares its memory."""
        known = self._known[id(tensor)]
        if known.version == tensor._version:
            return known.place
        array = self.trace.values[known.place].array
        if np.array_equal(array, to_array(tensor), equal_nan=array.dtype.kind == "f"):
            return known.place
        function = "change in place"
        call = Call(
            path=self.paths[-1],
            function=function,
            does=Opaque(function=function),
            inputs=[known.place],
            outputs=[],
        )
        self.trace.calls.append(call)
        call.outputs = [self._add(tensor, "call")]
        return call.outputs[0]

    def _parameter(self, name: str) -> int:
        if name not in self._named:
            self._named[name] = len(self.trace.values)
            self.trace.values.append(Value("parameter", shared_array(self._initial[name]), name))
        return self._named[name]

    def _add(self, tensor: Tensor, source: Any, name: str = "") -> int:
        place = len(self.trace.values)
        self.trace.values.append(Value(source, to_array(tensor), name))
        self._known[id(tensor)] = _Known(place, tensor._version)
        self._parts.pop(id(tensor), None)
        self._alive.append(tensor)
        return place


def _as_outputs(
    leaves: list[Any], versions: Mapping[int, int], overrides: Sequence[Override]
) -> list[Tensor]:
    """The tensors among a call's results, after overrides; a result that is an input becomes a new tensor.

    ``leaves`` are changed accordingly. ``versions`` are those of the inputs before the call, so that one that
    the call wrote into is distinguished from one that it only returns.
    """
    places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    for override in overrides:
        if override.of == "output" and override.place < len(places):
            place = places[override.place]
            in_place = id(leaves[place]) in versions
            leaves[place] = put_in_place(leaves[place], override.array, in_place=in_place)
    for place in places:
        if versions.get(id(leaves[place])) == leaves[place]._version:
            leaves[place] = leaves[place].view_as(leaves[place])
    return [leaves[place] for place in places]
