"""The side of a model in JAX."""

import importlib.metadata
import importlib.util
from collections.abc import Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from harness.tracing.calls import Trace
from harness.tracing.side import AsWritten, Gradients, Loss, Override, OwnTraining, Trained, Update
from harness_jax.models.dropout import without_dropout
from harness_jax.models.forms import Model, cast
from harness_jax.port import training as steps
from harness_jax.port.tracing import traced

_PACKAGES = ("jax", "flax", "optax")


class JaxSide:
    """See :class:`harness.tracing.side.Side`; arrays are channels last in JAX as they are in the contract."""

    backend = "jax"

    def __init__(self, model: Model, framework: str, own: OwnTraining) -> None:
        self.framework = framework
        self.draws = model.draws
        self.versions = {
            name: importlib.metadata.version(name) for name in _PACKAGES if importlib.util.find_spec(name)
        }
        self._model = model
        self._own = own

    def parameters(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(array) for name, array in self._model.arrays.items()}

    def trained(self) -> set[str]:
        return set(self._model.trained)

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        self._model.arrays |= cast(parameters, self._model.arrays)

    def trace(
        self, inputs: Sequence[np.ndarray], *, training: bool, overrides: Sequence[Override] = ()
    ) -> Trace:
        return traced(self._model, [_input(each) for each in inputs], training=training, overrides=overrides)

    def gradients(
        self,
        inputs: Sequence[np.ndarray],
        targets: np.ndarray,
        loss: Loss,
        *,
        output: str = "",
        own: bool = False,
    ) -> Gradients:
        given = [_input(each) for each in inputs]
        function = steps.own_loss(self._own, loss) if own else steps.LOSSES[loss]
        return steps.gradients(self._model, given, jnp.asarray(targets), function, output)

    def train(
        self,
        batches: Sequence[tuple[list[np.ndarray], np.ndarray]],
        loss: Loss,
        learning_rate: float,
        *,
        output: str = "",
    ) -> Trained:
        prepared = [([_input(each) for each in inputs], jnp.asarray(targets)) for inputs, targets in batches]
        return steps.train(self._model, prepared, steps.rules(self._own, loss, learning_rate), output)

    def update(self) -> Update | None:
        """An optax transformation hides its rule and its options in closures, so it is ``unknown``."""
        return None if self._own.make_optimizer is None else Update("unknown")


def _input(array: np.ndarray) -> jnp.ndarray:
    return jnp.asarray(array, jnp.float64) if np.issubdtype(array.dtype, np.floating) else jnp.asarray(array)


def as_written(model: Model) -> AsWritten:
    """A model as its code is."""

    def load(parameters: Mapping[str, np.ndarray]) -> None:
        model.arrays |= cast(parameters, model.arrays)

    def outputs(inputs: Sequence[np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
        with without_dropout():
            evaluated = model.evaluate(dict(model.arrays), [*map(jnp.asarray, inputs)], training=False)
        for path, leaf in jax.tree_util.tree_leaves_with_path(evaluated.outputs):
            numbers = np.asarray(leaf)
            floating = jnp.issubdtype(numbers.dtype, jnp.floating)
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            yield name, numbers.astype(np.float64) if floating else numbers

    def record(inputs: Sequence[np.ndarray]) -> Trace:
        return traced(model, [*map(jnp.asarray, inputs)], training=False, overrides=())

    return AsWritten(load, outputs, record)
