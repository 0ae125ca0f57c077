"""What the three forms of a model have in common: named arrays, and a pure evaluation with them."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp

from harness.tracing.calls import InputShape

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
    """A model; ``arrays`` are its parameters and state by name, ``trained`` the names of what is trained.

    ``draws`` says whether its code takes a random key for more than known layers of dropout, and
    ``always_draws`` whether it does even if it is given none.
    """

    arrays: Arrays
    trained: set[str]
    draws: bool
    always_draws: bool

    def evaluate(
        self,
        arrays: Arrays,
        inputs: Sequence[Any],
        *,
        training: bool,
        key: Any = None,
        recorder: Any = None,
    ) -> Evaluated:
        """Evaluate with other arrays, without changing the model.

        All random numbers follow from ``key``; without a key they are the same in each evaluation.
        """
        ...

    def tree(self, trained: Arrays) -> Any:
        """Arrange the trained arrays in the structure that an optimizer of this form of model sees."""
        ...

    def by_name(self, tree: Any) -> Arrays:
        """Return the arrays of such a structure by name (inverse of :meth:`tree`)."""
        ...


def mode_arguments(call: Any, *, training: bool) -> dict[str, bool]:
    """Return the argument that switches a model between training and evaluation."""
    names = inspect.signature(call).parameters
    return {name: value is training for name, value in _MODES.items() if name in names}


def zeros(shapes: Sequence[InputShape]) -> list[Any]:
    """Make a batch of one, with which a model makes its parameters, in the widest type that is enabled."""
    return [jnp.zeros((1, *shape.shape), jnp.int32 if shape.integer else float) for shape in shapes]


def is_floating(array: Any) -> bool:
    """Check that an array holds floating-point numbers, as training and canonical forms need."""
    return bool(jnp.issubdtype(array.dtype, jnp.floating))


def cast(arrays: Mapping[str, Any], like: Arrays) -> Arrays:
    """Convert arrays of NumPy to arrays of a model, typed as in ``like``."""
    return {
        name: jnp.asarray(array, like[name].dtype).reshape(like[name].shape) for name, array in arrays.items()
    }
