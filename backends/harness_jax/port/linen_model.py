"""Models of flax.linen."""

from collections.abc import Sequence
from typing import Any

import jax
from flax import linen, traverse_util

from harness.tracing.side import InputShape
from harness_jax.port.float64 import widen_settings, widened
from harness_jax.port.models import Arrays, Evaluated, mode_arguments, zeros


class LinenModel:
    """A ``linen.Module``, whose parameters are made with zeros of the shapes of the inputs."""

    def __init__(self, module: Any, shapes: Sequence[InputShape]) -> None:
        self._module = module
        keys = {name: jax.random.key(seed) for seed, name in enumerate(("params", "dropout"))}
        with linen.intercept_methods(_widen):
            variables = module.init(keys, *zeros(shapes), **mode_arguments(module.__call__, training=False))
        flat = traverse_util.flatten_dict(dict(variables), sep="/")
        self.arrays: Arrays = {name: widened(array) for name, array in flat.items()}
        self.trained = {name for name in self.arrays if name.startswith("params/")}

    def evaluate(
        self, arrays: Arrays, inputs: Sequence[Any], *, training: bool, recorder: Any = None
    ) -> Evaluated:
        variables = traverse_util.unflatten_dict(arrays, sep="/")
        with linen.intercept_methods(_widen):
            outputs, changed = self._module.apply(
                variables,
                *inputs,
                rngs={"dropout": jax.random.key(0)},
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


def _widen(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """A cell that a layer holds makes its first state before any of its methods is called."""
    for each in (context.module, *vars(context.module).values()):
        if isinstance(each, linen.Module):
            widen_settings(each)
    return call(*args, **kwargs)
