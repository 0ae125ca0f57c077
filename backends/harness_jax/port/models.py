"""The three forms of a model in JAX behind one interface: named arrays, and a pure evaluation with them."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from harness.tracing.side import InputShape
from harness_jax.port.float64 import widened

Arrays = dict[str, Any]

#: Arguments of a model that say whether it trains, and what they are in training.
_MODES = {
    "train": True,
    "training": True,
    "is_training": True,
    "deterministic": False,
    "use_running_average": False,
    "inference": False,
}


class Evaluated(NamedTuple):
    """What an evaluation returned, and the arrays that it changed."""

    outputs: Any
    changed: Arrays


class Model(Protocol):
    """A model; ``arrays`` are its parameters and state by name, ``trained`` the names of what is trained."""

    arrays: Arrays
    trained: set[str]

    def evaluate(
        self, arrays: Arrays, inputs: Sequence[Any], *, training: bool, recorder: Any = None
    ) -> Evaluated:
        """Evaluate with other arrays, without changing the model."""
        ...

    def tree(self, trained: Arrays) -> Any:
        """The trained arrays in the structure that an optimizer of this form of model sees."""
        ...

    def by_name(self, tree: Any) -> Arrays:
        """The arrays of such a structure (inverse of :meth:`tree`)."""
        ...


def mode_arguments(call: Any, *, training: bool) -> dict[str, bool]:
    """The argument that switches a model between training and evaluation."""
    names = inspect.signature(call).parameters
    return {name: value is training for name, value in _MODES.items() if name in names}


def zeros(shapes: Sequence[InputShape]) -> list[Any]:
    """A batch of one with which a model makes its parameters."""
    return [jnp.zeros((1, *shape.shape), jnp.int32 if shape.integer else jnp.float64) for shape in shapes]


class PureModel:
    """Parameters in a tree, and a function of them."""

    def __init__(self, parameters: Any, function: Any) -> None:
        leaves, self._structure = jax.tree_util.tree_flatten_with_path(parameters)
        self._names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in leaves]
        self.arrays: Arrays = {
            name: widened(leaf) for name, (_, leaf) in zip(self._names, leaves, strict=True)
        }
        self.trained = {
            name for name, array in self.arrays.items() if jnp.issubdtype(array.dtype, jnp.floating)
        }
        self._function = function

    def evaluate(
        self, arrays: Arrays, inputs: Sequence[Any], *, training: bool, recorder: Any = None
    ) -> Evaluated:
        mode = mode_arguments(self._function, training=training)
        return Evaluated(self._function(self._parameters(arrays), *inputs, **mode), {})

    def _parameters(self, arrays: Arrays) -> Any:
        return jax.tree.unflatten(self._structure, [arrays[name] for name in self._names])

    def tree(self, trained: Arrays) -> Any:
        return self._parameters({**self.arrays, **trained})

    def by_name(self, tree: Any) -> Arrays:
        return dict(zip(self._names, jax.tree.leaves(tree), strict=True))


def cast(arrays: Mapping[str, Any], like: Arrays) -> Arrays:
    """Given arrays of NumPy as those of a model."""
    return {
        name: jnp.asarray(array, like[name].dtype).reshape(like[name].shape) for name, array in arrays.items()
    }
