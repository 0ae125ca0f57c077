"""The recorder of JAX, whose arrays nobody writes into, and which knows parts of parameters."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import msgspec
import numpy as np
from jax._src import core

from harness.tracing import recorder
from harness.tracing.calls import Stored
from harness.tracing.semantics import Convolution, Linear
from harness.tracing.side import Override

_PYTHON_NUMBERS = (bool, int, float)


class Recorder(recorder.Recorder):
    """The calls and values of an evaluation in progress; ``paths`` are names of modules by their ``id``."""

    def __init__(self, parameters: Mapping[str, Any], overrides: Sequence[Override]) -> None:
        super().__init__({id(array): name for name, array in parameters.items()}, overrides)
        self.paths: dict[int, str] = {}
        self._arrays = dict(parameters)
        self._parts: dict[int, Stored] = {}

    def numbers(self, tensor: Any) -> Any:
        """The array itself: to read its numbers at once would wait for each operation."""
        return tensor

    def numbers_of(self, name: str) -> Any:
        return self._arrays[name]

    def replacement(self, array: np.ndarray, of: Any) -> Any:
        return jax.numpy.asarray(array, dtype=of.dtype).reshape(of.shape)

    def is_tensor(self, leaf: Any) -> bool:
        return isinstance(leaf, jax.Array | np.ndarray)

    def flattened(self, tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
        leaves, structure = jax.tree.flatten(tree)
        return leaves, functools.partial(jax.tree.unflatten, structure)

    def made(self, tensor: Any) -> Any:
        """An array that is known as nothing else, so that a call that returns its input has an output."""
        if not self.knows(tensor) and isinstance(tensor, jax.Array):
            return tensor
        return self.unheard(jax.numpy.array, tensor, copy=True)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Record nothing for a while; compiled functions run as such."""
        with super().quiet(), jax.disable_jit(disable=False):
            yield

    @property
    def listens(self) -> bool:
        """Whether calls are recorded now: not inside of one, nor while JAX traces for its own ends."""
        return not self.busy and core.trace_state_clean()

    def stored(self, array: Any, **part: Any) -> Stored | None:
        """How a parameter becomes an array of a role; None if the array is not a parameter or a part of one.

        ``part`` are fields of :class:`Stored`.
        """
        name = self.names.get(id(array))
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
        self.parameter(stored.name)
        self.trace.values[call.outputs[0]].source = "constant"
        (output,) = self.overridden("output", number, [self.unheard(run, array, bias)])
        call.outputs = [self.add(output, "call")]
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


def is_number(operand: Any) -> bool:
    """Whether an operand is one number that does not depend on the model's inputs or parameters."""
    return isinstance(operand, _PYTHON_NUMBERS) or (hasattr(operand, "shape") and operand.shape == ())
