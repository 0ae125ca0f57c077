"""Models as parameters in a tree, and a function of them."""

import inspect
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from harness_jax.models.float64 import widened
from harness_jax.models.forms import Arrays, Evaluated, is_floating, mode_arguments

#: Arguments of a function from which its random numbers follow.
_KEYS = frozenset({"key", "rng", "rngs", "rng_key", "prng_key", "dropout_key", "dropout_rng"})


class PureModel:
    """Parameters in a tree, and a function of them, of the inputs, and maybe of a random key."""

    def __init__(self, parameters: Any, function: Any, *, exact: bool) -> None:
        leaves, self._structure = jax.tree_util.tree_flatten_with_path(parameters)
        self._names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in leaves]
        make = widened if exact else jnp.asarray
        self.arrays: Arrays = {name: make(leaf) for name, (_, leaf) in zip(self._names, leaves, strict=True)}
        self.trained = {name for name, array in self.arrays.items() if is_floating(array)}
        self._function = function
        keys = [each for name, each in inspect.signature(function).parameters.items() if name in _KEYS]
        self.draws = bool(keys)
        self.always_draws = any(each.default is each.empty for each in keys)

    def evaluate(
        self,
        arrays: Arrays,
        inputs: Sequence[Any],
        *,
        training: bool,
        key: Any = None,
        recorder: Any = None,
    ) -> Evaluated:
        mode = mode_arguments(self._function, training=training)
        return Evaluated(self._function(self._parameters(arrays), *inputs, **mode, **self._keys(key)), {})

    def _keys(self, key: Any) -> dict[str, Any]:
        """Return the arguments for random numbers; without ``key`` only those that the function needs."""
        named = {
            name: each
            for name, each in inspect.signature(self._function).parameters.items()
            if name in _KEYS and (key is not None or each.default is each.empty)
        }
        return {name: jax.random.key(0) if key is None else key for name in named}

    def _parameters(self, arrays: Arrays) -> Any:
        return jax.tree.unflatten(self._structure, [arrays[name] for name in self._names])

    def tree(self, trained: Arrays) -> Any:
        return self._parameters({**self.arrays, **trained})

    def by_name(self, tree: Any) -> Arrays:
        return dict(zip(self._names, jax.tree.leaves(tree), strict=True))
