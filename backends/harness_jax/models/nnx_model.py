"""Models of flax.nnx."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from harness_jax.models.float64 import widen_settings, widened
from harness_jax.models.forms import Arrays, Evaluated, mode_arguments


class NnxModel:
    """An ``nnx.Module``; each evaluation is of a copy of it, so that it stays as it is."""

    draws = always_draws = False

    def __init__(self, module: Any, *, exact: bool) -> None:
        for _, node in nnx.iter_graph(module) if exact else ():
            if isinstance(node, nnx.Module):
                widen_settings(node)
        make = widened if exact else jnp.asarray
        self._graph, state = nnx.split(module)
        variables = list(nnx.to_flat_state(state))
        self.arrays: Arrays = {
            _name(path): make(variable.get_value())
            for path, variable in variables
            if not _is_random(variable)
        }
        self.trained = {_name(path) for path, variable in variables if isinstance(variable, nnx.Param)}
        # Evaluations give all values but those of generators, so that these need no memory.
        self._variables = [
            (path, variable if _is_random(variable) else variable.replace(None))
            for path, variable in variables
        ]

    def evaluate(
        self,
        arrays: Arrays,
        inputs: Sequence[Any],
        *,
        training: bool,
        key: Any = None,
        recorder: Any = None,
    ) -> Evaluated:
        values = {**self._generators(key), **arrays}
        module = nnx.merge(
            self._graph,
            nnx.from_flat_state(
                [(path, variable.replace(values[_name(path)])) for path, variable in self._variables]
            ),
        )
        (module.train if training else module.eval)(training=training, is_training=training)
        if recorder is not None:
            recorder.names_of_modules = {id(node): _name(path) for path, node in nnx.iter_graph(module)}
        outputs = module(*inputs, **mode_arguments(module.__call__, training=training))
        after = dict(nnx.to_flat_state(nnx.state(module)))
        changed = {
            _name(path): after[path].get_value()
            for path, variable in self._variables
            if path in after and not _is_random(variable)
        }
        return Evaluated(
            outputs, {name: array for name, array in changed.items() if array is not arrays[name]}
        )

    def _generators(self, key: Any) -> Arrays:
        """Return the state of the module's own generators, with a new key derived from each old key."""
        generators = {_name(path): variable for path, variable in self._variables if _is_random(variable)}
        values = {name: variable.get_value() for name, variable in generators.items()}
        if key is not None:
            bits = jax.random.bits(key)
            keys = [name for name, variable in generators.items() if isinstance(variable, nnx.RngKey)]
            values |= {name: _folded(values[name], bits) for name in keys}
        return values

    def tree(self, trained: Arrays) -> Any:
        return nnx.from_flat_state(
            [
                (path, variable.replace(trained[_name(path)]))
                for path, variable in self._variables
                if _name(path) in trained
            ]
        )

    def by_name(self, tree: Any) -> Arrays:
        return {_name(path): variable.get_value() for path, variable in nnx.to_flat_state(tree)}


def _name(path: Sequence[Any]) -> str:
    return ".".join(map(str, path))


def _folded(keys: Any, bits: Any) -> Any:
    """Combine one key or an array of keys with the same number."""
    fold: Any = lambda key: jax.random.fold_in(key, bits)  # noqa: E731
    for _ in keys.shape:
        fold = jax.vmap(fold)
    return fold(keys)


def _is_random(variable: Any) -> bool:
    return isinstance(variable, nnx.RngState)
