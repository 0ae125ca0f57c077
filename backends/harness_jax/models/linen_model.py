"""Models of flax.linen."""

import contextlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen, traverse_util

from harness.tracing.calls import InputShape
from harness_jax.models.float64 import widen_settings, widened
from harness_jax.models.forms import Arrays, Evaluated, mode_arguments, zeros


class LinenModel:
    """A ``linen.Module``, whose parameters are made with zeros of the shapes of the inputs."""

    draws = always_draws = False

    def __init__(self, module: Any, shapes: Sequence[InputShape], *, exact: bool) -> None:
        self._module, self._exact = module, exact
        mode = mode_arguments(module.__call__, training=False)
        with self._widening():
            variables = module.init(_generators(jax.random.key(0)), *zeros(shapes), **mode)
        make = widened if exact else jnp.asarray
        flat = traverse_util.flatten_dict(dict(variables), sep="/")
        self.arrays: Arrays = {name: make(array) for name, array in flat.items()}
        self.trained = {name for name in self.arrays if name.startswith("params/")}

    def _widening(self) -> contextlib.AbstractContextManager[Any]:
        return linen.intercept_methods(_widen) if self._exact else contextlib.nullcontext()

    def evaluate(
        self,
        arrays: Arrays,
        inputs: Sequence[Any],
        *,
        training: bool,
        key: Any = None,
        recorder: Any = None,
    ) -> Evaluated:
        variables = traverse_util.unflatten_dict(arrays, sep="/")
        with self._widening():
            outputs, changed = self._module.apply(
                variables,
                *inputs,
                rngs=_generators(jax.random.key(0) if key is None else key),
                mutable=[collection for collection in variables if collection != "params"],
                **mode_arguments(self._module.__call__, training=training),
            )
        after = traverse_util.flatten_dict(dict(changed), sep="/")
        return Evaluated(
            outputs, {name: array for name, array in after.items() if array is not arrays.get(name)}
        )

    def tree(self, trained: Arrays) -> Any:
        return traverse_util.unflatten_dict(
            {name.removeprefix("params/"): each for name, each in trained.items()}, sep="/"
        )

    def by_name(self, tree: Any) -> Arrays:
        return {f"params/{name}": array for name, array in traverse_util.flatten_dict(tree, sep="/").items()}


def _generators(key: Any) -> dict[str, Any]:
    """Derive keys for a module's generators from ``key``; ``params`` stands in for other names."""
    return {name: jax.random.fold_in(key, number) for number, name in enumerate(("params", "dropout"))}


def _widen(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """Widen the settings of a module and its parts before a call: a cell makes its first state early."""
    for each in (context.module, *vars(context.module).values()):
        if isinstance(each, linen.Module):
            widen_settings(each)
    return call(*args, **kwargs)
