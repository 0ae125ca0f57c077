"""Models of flax.nnx."""

from collections.abc import Sequence
from typing import Any

from flax import nnx

from harness_jax.port.float64 import widen_settings, widened
from harness_jax.port.models import Arrays, Evaluated, mode_arguments


class NnxModel:
    """An ``nnx.Module``; each evaluation is of a copy of it, so that it stays as it is."""

    def __init__(self, module: Any) -> None:
        for _, node in nnx.iter_graph(module):
            if isinstance(node, nnx.Module):
                widen_settings(node)
        self._graph, state = nnx.split(module)
        self._variables = list(nnx.to_flat_state(state))
        self.arrays: Arrays = {
            _name(path): widened(variable.get_value())
            for path, variable in self._variables
            if not _is_random(variable)
        }
        self.trained = {_name(path) for path, variable in self._variables if isinstance(variable, nnx.Param)}

    def evaluate(
        self, arrays: Arrays, inputs: Sequence[Any], *, training: bool, recorder: Any = None
    ) -> Evaluated:
        module = nnx.merge(
            self._graph,
            nnx.from_flat_state(
                [
                    (path, variable.replace(arrays.get(_name(path), variable.get_value())))
                    for path, variable in self._variables
                ]
            ),
        )
        (module.train if training else module.eval)(training=training, is_training=training)
        if recorder is not None:
            recorder.paths = {id(node): _name(path) for path, node in nnx.iter_graph(module)}
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


def _is_random(variable: Any) -> bool:
    return isinstance(variable, nnx.RngState)
