"""The recorder of JAX, whose arrays nobody writes into, and which knows parts of parameters."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax._src import core

from harness.tracing import recorder
from harness.tracing.side import Override


class Recorder(recorder.Recorder):
    """The calls and values of an evaluation in progress; modules have names by their ``id``."""

    def __init__(self, parameters: Mapping[str, Any], overrides: Sequence[Override]) -> None:
        super().__init__({id(array): name for name, array in parameters.items()}, overrides)
        self.names_of_modules: dict[int, str] = {}
        self._arrays = dict(parameters)

    def numbers(self, tensor: Any) -> Any:
        """Return the array itself: reading its numbers now would wait for each operation."""
        return tensor

    def numbers_of(self, name: str) -> Any:
        return self._arrays[name]

    def replacement(self, array: np.ndarray, of: Any) -> Any:
        return jax.numpy.asarray(array, dtype=of.dtype).reshape(of.shape)

    def operand(self, value: Any) -> Any:
        return value if isinstance(value, jax.Array) or np.ndim(value) == 0 else jax.numpy.asarray(value)

    def is_tensor(self, leaf: Any) -> bool:
        return isinstance(leaf, jax.Array | np.ndarray)

    def flattened(self, tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
        leaves, structure = jax.tree.flatten(tree)
        return leaves, functools.partial(jax.tree.unflatten, structure)

    def made(self, tensor: Any) -> Any:
        """Copy an array that is known already: a call that returns its input needs an output of its own."""
        if not self.knows(tensor) and isinstance(tensor, jax.Array):
            return tensor
        return self.unheard(jax.numpy.array, tensor, copy=True)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Record nothing for a while; compiled functions run compiled."""
        with super().quiet(), jax.disable_jit(disable=False):
            yield

    @property
    def listens(self) -> bool:
        """Whether calls are recorded now: not inside of one, nor while JAX traces for its own ends."""
        return not self.busy and core.trace_state_clean()
