"""Writes down the calls of one evaluation: semantics, values, and which parameters were used.

A value is known by the identity of its array, which the recorder keeps alive. Everything that is computed
from arrays that are not known (constants, keys) is a constant itself and is not recorded.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import msgspec
import numpy as np
from jax._src import core

from harness.tracing.calls import Call, Stored, Trace, Value
from harness.tracing.semantics import AnySemantics, Convolution, Linear, Opaque
from harness.tracing.side import Override
from harness.tracing.user_code import user_line

#: What a translation returns for a call that it does not know: what runs inside is recorded in its place.
ENTER = object()

_PYTHON_NUMBERS = (bool, int, float)


class Recorder:
    """The calls and values of an evaluation in progress."""

    def __init__(self, parameters: Mapping[str, Any], overrides: Sequence[Override]) -> None:
        self.trace = Trace([], [], [], [])
        self.paths: dict[int, str] = {}
        self._names = {id(array): name for name, array in parameters.items()}
        self._arrays = dict(parameters)
        self._places: dict[int, int] = {}
        self._parts: dict[int, Stored] = {}
        self._overrides: dict[int, list[Override]] = {}
        for override in overrides:
            self._overrides.setdefault(override.call, []).append(override)
        self._inside = False

    @property
    def listens(self) -> bool:
        """Whether calls are recorded now: not inside of one, nor while JAX traces for its own ends."""
        return not self._inside and core.trace_state_clean()

    def add_input(self, array: Any, name: str) -> None:
        """Make an array an input of the model."""
        self.trace.inputs.append(self._add(Value("input", array, name)))

    def add_output(self, array: Any, name: str) -> None:
        """Make an array an output of the model."""
        place = self.place(array)
        value = self.trace.values[place]
        value.name = value.name or name
        self.trace.outputs.append(place)

    def knows(self, array: Any) -> bool:
        """Whether an array is an input, a parameter, or was computed from one."""
        return id(array) in self._places or id(array) in self._names

    def name(self, array: Any) -> str | None:
        """The name of an array that is a parameter itself."""
        return self._names.get(id(array))

    def stored(self, array: Any, **part: Any) -> Stored | None:
        """How a parameter becomes an array of a role; None if the array is not a parameter or a part of one.

        ``part`` are fields of :class:`Stored`.
        """
        name = self.name(array)
        base = self._parts.get(id(array)) if name is None else Stored(name)
        part = {field: value for field, value in part.items() if value not in {None, ()}}
        if base is None or not part:
            return base
        is_final = base.axes is not None or base.final_shape is not None
        cuts_again = "axis" in part and base != Stored(base.name)
        return None if is_final or cuts_again else msgspec.structs.replace(base, **part)

    def derive(self, array: Any, of: Any, **part: Any) -> None:
        """Know an array as a part of a parameter, if ``of`` is one or a part of one."""
        stored = self.stored(of, **part)
        if stored is not None:
            self._parts[id(array)] = stored

    def add_bias(self, array: Any, bias: Any, run: Callable[..., Any]) -> Any:
        """Make the addition of a bias a part of the linear layer before it; None if it is none."""
        number = self._made_for_now(array)
        stored = self.stored(bias, final_shape=bias.shape[-1:] if bias.ndim > 1 else None)
        if (
            number is None
            or stored is None
            or (bias.size,) != array.shape[-1:]
            or bias.shape[-1:] != (bias.size,)
        ):
            return None
        call = self.trace.calls[number]
        first = isinstance(call.does, Convolution) and call.does.channels_first
        if not isinstance(call.does, (Linear, Convolution)) or first or set(call.parameters) != {"kernel"}:
            return None
        call.parameters["bias"] = stored
        self.place(self._arrays[stored.name])
        self.trace.values[call.outputs[0]].source = "constant"
        (output,) = self._overridden([self.unheard(run, array, bias)], number)
        call.outputs = [self._add(Value("call", output))]
        return output

    def _made_for_now(self, array: Any) -> int | None:
        """The call that made an array which no other has used yet."""
        place = self._places.get(id(array))
        for number in reversed(range(len(self.trace.calls))):
            call = self.trace.calls[number]
            if call.outputs == [place]:
                return number
            if place in call.inputs:
                return None
        return None

    def place(self, array: Any) -> int:
        """The place of an array among the values."""
        if id(array) not in self._places:
            name = self.name(array)
            self._add(Value("constant", array) if name is None else Value("parameter", array, name))
        return self._places[id(array)]

    def same(self, array: Any, of: Any) -> None:
        """Take an array for another one, of the same elements."""
        if id(array) in self._places or id(array) in self._names:
            return
        if _narrows(of, array):
            self.call(Opaque(function="cast"), f"cast to {array.dtype}", lambda _: array, [of])
        else:
            self._places[id(array)] = self.place(of)
            self._keep(array)

    def call(
        self,
        does: AnySemantics,
        function: str,
        run: Callable[..., Any],
        inputs: Sequence[Any],
        *,
        path: str = "",
        parameters: Mapping[str, Stored] | None = None,
    ) -> Any:
        """Run and record a call; ``run`` takes the inputs and returns an array, or a tree of arrays."""
        number = len(self.trace.calls)
        inputs = list(inputs)
        for override in self._overrides.get(number, ()):
            if override.of == "input":
                inputs[override.place] = _in_place_of(inputs[override.place], override.array)
        places = [self.place(array) for array in inputs]
        for stored in (parameters or {}).values():
            self.place(self._arrays[stored.name])
        call = Call(
            path=path,
            function=function,
            does=does,
            inputs=places,
            outputs=[],
            parameters=dict(parameters or {}),
            line=user_line(),
        )
        self.trace.calls.append(call)
        outputs, structure = jax.tree.flatten(self.unheard(run, *inputs))
        outputs = [self._fresh(array) for array in self._overridden(outputs, number)]
        call.outputs = [self._add(Value("call", array)) for array in outputs]
        return jax.tree.unflatten(structure, outputs)

    def _overridden(self, outputs: list[Any], number: int) -> list[Any]:
        for override in self._overrides.get(number, ()):
            if override.of == "output":
                outputs[override.place] = _in_place_of(outputs[override.place], override.array)
        return outputs

    def unheard(self, run: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run something without recording what it does; compiled functions run as such."""
        before, self._inside = self._inside, True
        try:
            with jax.disable_jit(disable=False):
                return run(*args, **kwargs)
        finally:
            self._inside = before

    def finished(self) -> Trace:
        """The trace, with arrays of NumPy."""
        for value in self.trace.values:
            value.array = np.asarray(value.array)
        return self.trace

    def _add(self, value: Value) -> int:
        self.trace.values.append(value)
        self._places[id(value.array)] = len(self.trace.values) - 1
        self._keep(value.array)
        return len(self.trace.values) - 1

    def _keep(self, array: Any) -> None:
        self._arrays[f"kept {len(self._arrays)}"] = array

    def _fresh(self, array: Any) -> Any:
        """An array that is known as nothing else, so that a call that returns its input has an output."""
        if not self.knows(array) and isinstance(array, jax.Array):
            return array
        return self.unheard(jax.numpy.array, array, copy=True)


def _narrows(of: Any, to: Any) -> bool:
    """Whether numbers of one array are rounded in the other; never in float64."""
    floats = all(jax.numpy.issubdtype(each.dtype, jax.numpy.floating) for each in (of, to))
    return floats and bool(to.dtype.itemsize < of.dtype.itemsize)


def _in_place_of(array: Any, new: np.ndarray) -> Any:
    return jax.numpy.asarray(new, dtype=array.dtype).reshape(array.shape)


def is_number(operand: Any) -> bool:
    """Whether an operand is one number that does not depend on the model's inputs or parameters."""
    return isinstance(operand, _PYTHON_NUMBERS) or (hasattr(operand, "shape") and operand.shape == ())
