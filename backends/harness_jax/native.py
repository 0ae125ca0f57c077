"""A model of the user's own as a layer: evaluated as the user wrote it, with the task's arrays in its own."""

import contextlib
import functools
from collections.abc import Iterator

import jax
import msgspec
from jax import numpy as jnp

from harness.errors import HarnessError
from harness.layers import Native, NativeArray, Shape
from harness.network import Network
from harness.spec import Unsupported
from harness.spec.backend import Precision
from harness.tracing.inputs import InputShape
from harness.tracing.stored import Stored
from harness.tracing.user_code import described, make_model
from harness_jax.calls import Call, Weights
from harness_jax.models import kind_of, model_of
from harness_jax.models.dropout import without_dropout
from harness_jax.models.float64 import kept_wide
from harness_jax.models.forms import Arrays, Model, is_floating
from harness_jax.parts import Whole, part_of, whole_of

FRAMEWORK = "jax"
#: The programs of a certification share models, of which they need but the code.
_KEPT = 8
_TRIAL_BATCH = 2


def native_models(network: Network, precision: Precision) -> dict[str, "NativeModel"]:
    """The models of a network by the names of their layers; programs share them.

    Raises:
        Unsupported: there is no code for JAX, it gives no model, it cannot be compiled, or its arrays are not
            those of the task.
    """
    return {
        place.name: _native_model(msgspec.json.encode(place.layer), place.input_shape, precision)
        for place in network.leaves()
        if isinstance(place.layer, Native)
    }


def has_native(network: Network) -> bool:
    """Whether a network has a model of the user's own."""
    return any(isinstance(place.layer, Native) for place in network.leaves())


def forget() -> None:
    """Drop all models that no program uses."""
    _native_model.cache_clear()


@functools.lru_cache(_KEPT)
def _native_model(encoded: bytes, shape: Shape, precision: Precision) -> "NativeModel":
    layer = msgspec.json.decode(encoded, type=Native)
    code = layer.model_of(FRAMEWORK)
    if code is None:
        known = ", ".join(each.framework for each in layer.models)
        raise Unsupported(f"the model has code for {known} and none for jax")
    network_input = InputShape(shape, integer=layer.vocabulary is not None, maximum=layer.vocabulary or 0)
    try:
        built = make_model(code.target, code.arguments)
    except HarnessError as error:
        raise Unsupported(str(error)) from error
    if kind_of(built) is None:
        raise Unsupported(
            f"{code.target} returned {type(built).__name__}, and neither a module of flax nor a pair of "
            "parameters and a function"
        )
    try:
        own = model_of(built, [network_input], exact=precision == "float64")
        model = NativeModel(layer, own, precision)
        model.try_out(network_input)
    except Unsupported:
        raise
    except Exception as error:
        raise Unsupported(f"jax cannot compile the model of {code.target}: {described(error)}") from error
    return model


class NativeModel:
    """The function of a layer's call and its input, and where the model holds each canonical array.

    Raises:
        Unsupported: the model's arrays are not those of the layer.
    """

    def __init__(self, layer: Native, model: Model, precision: Precision) -> None:
        self._layer, self._model, self._precision = layer, model, precision
        shapes = {name: array.shape for name, array in model.arrays.items() if is_floating(array)}
        # The task gives the values of all others; those of this type are never needed again.
        model.arrays = {name: array for name, array in model.arrays.items() if name not in shapes}
        stored = dict(_stored(layer, shapes))
        arrays = {array.name: array for array in (*layer.trained, *layer.held)}
        self.parts = {name: part_of(arrays[name], each, shapes[each.name]) for name, each in stored.items()}
        self._wholes: dict[str, Whole] = {
            whole: whole_of(whole, shape, [part for part in stored.items() if part[1].name == whole])
            for whole, shape in shapes.items()
        }

    def __call__(self, call: Call[Native], x: jax.Array) -> jax.Array:
        """The outputs; the next state is put into the call."""
        y, state = self.evaluated(call.weights, x, call.key)
        call.state.update(state)
        return y

    def evaluated(self, weights: Weights, x: jax.Array, key: jax.Array | None) -> tuple[jax.Array, Weights]:
        """The outputs and the next state; ``key`` is that of a training step, None in evaluation."""
        dropping = self._layer.dropout != "off"
        with self._as_wanted():
            outputs, changed = self._model.evaluate(
                self._arrays(weights), [x], training=key is not None, key=key if dropping else None
            )
        self._check_changes(changed)
        state = {
            array.name: self._next(array.name, weights[array.name], changed) for array in self._layer.held
        }
        return jax.tree.leaves(outputs)[0], state

    @contextlib.contextmanager
    def _as_wanted(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            if self._precision == "float64":
                stack.enter_context(kept_wide())
            if self._layer.dropout == "off":
                stack.enter_context(without_dropout())
            yield

    def _arrays(self, weights: Weights) -> Arrays:
        """All of the model's own arrays; in bfloat16 the state remains float32."""
        given = dict(weights)
        if self._precision == "bfloat16":
            given |= {array.name: given[array.name].astype(jnp.bfloat16) for array in self._layer.trained}
        wholes = {name: whole.joined(given) for name, whole in self._wholes.items()}
        return {**self._model.arrays, **wholes}

    def _check_changes(self, changed: Arrays) -> None:
        known = {self.parts[array.name].stored.name for array in self._layer.held}
        for name in changed.keys() - known:
            raise Unsupported(f"the model changes {name} in training, which the task does not hold as state")

    def _next(self, name: str, before: jax.Array, changed: Arrays) -> jax.Array:
        part = self.parts[name]
        if part.stored.name not in changed:
            return before
        after: jax.Array = part.stored.part(changed[part.stored.name])
        return after.reshape(part.shape).astype(before.dtype)

    def try_out(self, network_input: InputShape) -> None:
        """Evaluate the shapes of a training step, so that what is wrong is known before any is timed."""
        wide = jnp.float64 if self._precision == "float64" else jnp.float32
        lower = jnp.bfloat16 if self._precision == "bfloat16" else wide
        weights = {name: jax.ShapeDtypeStruct(part.shape, wide) for name, part in self.parts.items()}
        x = jax.ShapeDtypeStruct(
            (_TRIAL_BATCH, *network_input.shape), jnp.int32 if network_input.integer else lower
        )
        y, _ = jax.eval_shape(self.evaluated, weights, x, jax.random.key(0))
        if y.shape[1:] != self._layer.outputs:
            raise Unsupported(f"the model's outputs {y.shape[1:]} are not those of the task")


def _stored(layer: Native, shapes: dict[str, Shape]) -> Iterator[tuple[str, Stored]]:
    """Where the model holds each canonical array.

    Raises:
        Unsupported: an array of one is not an array of the other.
    """
    arrays: tuple[NativeArray, ...] = (*layer.trained, *layer.held)
    missing = set(shapes)
    for array in arrays:
        stored = array.stored.get(FRAMEWORK)
        if stored is None:
            raise Unsupported(f"the model does not say where jax stores {array.name}")
        if stored.name not in shapes:
            raise Unsupported(f"the model has no {stored.name}, which the task names: write the task again")
        missing.discard(stored.name)
        yield array.name, stored
    if missing:
        raise Unsupported(f"the model has {min(missing)}, which the task does not name: write the task again")
