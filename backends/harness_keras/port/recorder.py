"""The recorder of Keras, which knows layers that cannot be entered, and what tensors of any engine hold."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from harness.tracing import recorder
from harness.tracing import semantics as kinds
from harness.tracing.recorder import Running
from harness.tracing.side import Override

Tensor = Any
#: The recorder of the evaluation that runs now; the hooks do nothing without one.
_active: list["Recorder"] = []


def active() -> "Recorder | None":
    """Return the recorder to which a hook must report; None outside evaluations and in a recorded call."""
    if not _active or _active[-1].busy:
        return None
    return _active[-1]


class Recorder(recorder.Recorder):
    """Records calls and puts overrides in the place of their values.

    ``variables`` are the model's by name. ``opaque`` are the parts of the model that cannot
    be entered, which a recorder fills and later ones read.
    """

    def __init__(
        self,
        variables: Mapping[str, keras.Variable],
        opaque: set[tuple[Any, ...]],
        overrides: Sequence[Override] = (),
    ) -> None:
        super().__init__(_keys(variables), overrides)
        self.variables = variables
        self.opaque = opaque
        self._entered: dict[tuple[str, ...], int] = {}

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Make this the recorder of all hooks."""
        _active.append(self)
        try:
            yield
        finally:
            _active.pop()

    def numbers(self, tensor: Tensor) -> np.ndarray:
        return numbers(tensor)

    def numbers_of(self, name: str) -> np.ndarray:
        return numbers(self.variables[name])

    def replacement(self, array: np.ndarray, of: Tensor) -> Tensor:
        with self.quiet():
            return ops.convert_to_tensor(np.ascontiguousarray(array), dtype=of.dtype)

    def operand(self, value: Any) -> Any:
        is_operand = is_array(value) or self.number(value) is not None
        return value if is_operand else keras.src.backend.convert_to_tensor(value)

    def is_tensor(self, leaf: Any) -> bool:
        return is_array(leaf)

    def flattened(self, tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
        return keras.tree.flatten(tree), functools.partial(keras.tree.pack_sequence_as, tree)

    def type_of(self, tensor: Tensor) -> str:
        return str(getattr(tensor.dtype, "name", tensor.dtype)).removeprefix("torch.")

    def knows(self, tensor: Tensor) -> bool:
        if id(tensor) in self.names:
            self.place(tensor)  # the trace has the parameter, whatever becomes of it
        return super().knows(tensor)

    def knows_any(self, tree: Any) -> bool:
        """Check that a tree contains a value of the trace."""
        return any(self.knows(each) for each in keras.tree.flatten(tree) if is_array(each))

    def enter(self, function: str, run: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Record the calls that ``run`` consists of; one opaque call if they do not give its results.

        A function that was opaque in the model's first evaluation is not entered in later ones, so that the
        numbers of calls stay the same.
        """
        key = (*self.paths, function)
        self._entered[key] = self._entered.get(key, -1) + 1
        numbered = (*key, self._entered[key])
        if numbered not in self.opaque:
            calls, values = len(self.trace.calls), len(self.trace.values)
            results = run(*args, **kwargs)
            made = [tensor for tensor in keras.tree.flatten(results) if is_array(tensor)]
            if all(self.knows(tensor) for tensor in made) or len(self.paths) == 2:  # noqa: PLR2004  the model itself
                return results
            del self.trace.calls[calls:], self.trace.values[values:]
            self._places = {key: place for key, place in self._places.items() if place < values}
            self._named = {key: place for key, place in self._named.items() if place < values}
            self.opaque.add(numbered)
        return self.opaque_call(function, run, args, kwargs)

    def opaque_call(self, function: str, run: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Record one call that cannot be described."""
        given = {"args": args, "kwargs": kwargs}
        called = Running(self, function, given, lambda args, kwargs: run(*args, **kwargs))
        return called.record(kinds.Opaque(function=function), *given)


def is_array(tensor: Any) -> bool:
    """Check for a tensor of the engine, or a variable."""
    return isinstance(tensor, keras.Variable) or ops.is_tensor(tensor)


def _keys(variables: Mapping[str, keras.Variable]) -> dict[int, str]:
    """Return names by the ``id`` of all objects of a variable: a model's code may use the engine's own."""
    keys = {}
    for name, variable in variables.items():
        held = variable._value  # noqa: SLF001
        for key in (variable, held, getattr(held, "handle", None)):
            if key is not None:
                keys[id(key)] = name
    return keys


def numbers(tensor: Tensor) -> np.ndarray:
    """Return the numbers that a tensor or variable holds now; later changes do not affect them."""
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        # A variable gets new memory at its next change while there is a tensor of its value.
        held = tf.convert_to_tensor(tensor.value if isinstance(tensor, keras.Variable) else tensor)
        if held.dtype == tf.float64:
            return np.asarray(memoryview(held))
    array = np.asarray(ops.convert_to_numpy(tensor))
    return array if array.flags.owndata else np.array(array)
