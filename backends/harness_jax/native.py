"""A model of the user's own as a layer: evaluated as the user wrote it, with the task's arrays in its own."""

import contextlib
import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import jax
import msgspec
import numpy as np
from jax import numpy as jnp

from harness.backend_support.feeding import code_of, made_model, refuse_changed, stored_in
from harness.layers import Native, NativeArray, Shape
from harness.network import Network
from harness.spec import Task, Unsupported
from harness.spec.backend import Precision
from harness.tracing.calls import InputShape, Stored
from harness.tracing.user_code import described, make_model
from harness_jax.layers import Call, Weights
from harness_jax.models import kind_of, model_of
from harness_jax.models.forms import Arrays, Evaluated, Model, is_floating

FRAMEWORK = "jax"
_KEPT = 8
_Made = TypeVar("_Made")
_TRIAL_BATCH = 2
#: What names of hidden state begin with, which no name of a task does.
_HIDDEN = ":"


def shared(make: Callable[..., _Made]) -> Callable[..., _Made]:
    """Cache ``make`` by the contents of the struct in its first argument, so that programs share results.

    The cache keeps the latest results: compiled code and models take memory.
    """

    @functools.lru_cache(_KEPT)
    def made(kind: type, encoded: bytes, *others: Any) -> _Made:
        return make(msgspec.json.decode(encoded, type=kind), *others)

    @functools.wraps(make)
    def call(described: msgspec.Struct, *others: Any) -> _Made:
        return made(type(described), msgspec.json.encode(described), *others)

    call.cache_clear = made.cache_clear  # type: ignore[attr-defined]
    return call


def native_models(network: Network, precision: Precision) -> dict[str, "NativeModel"]:
    """Return the models of a network by the names of their layers; programs share the models."""
    return {
        place.name: _native_model(place.layer, place.input_shape, precision)
        for place in network.leaves()
        if isinstance(place.layer, Native)
    }


@shared
def _native_model(layer: Native, shape: Shape, precision: Precision) -> "NativeModel":
    network_input = InputShape(shape, integer=layer.vocabulary is not None, maximum=layer.vocabulary or 0)
    wanted = ", and neither a module of flax nor a pair of parameters and a function"
    built = made_model(layer, FRAMEWORK, make_model, kind_of, wanted)
    try:
        own = model_of(built, [network_input], exact=precision == "float64")
        model = NativeModel(layer, own, precision)
        model.try_out(network_input)
    except Unsupported:
        raise
    except Exception as error:
        target = code_of(layer, FRAMEWORK).target
        raise Unsupported(f"jax cannot compile the model of {target}: {described(error)}") from error
    return model


class NativeModel:
    """The function of a layer's call and its input, and where the model holds each canonical array.

    ``hidden`` are the arrays that training changes and that the task does not name, such as a count of steps,
    as they are before the first step. They are state like the named ones, by the names given here.
    """

    def __init__(self, layer: Native, model: Model, precision: Precision) -> None:
        if layer.dropout == "off" and model.always_draws:
            raise Unsupported(
                "the model's function needs a random key, so it cannot be kept from dropping values"
            )
        self._layer, self._model, self._precision = layer, model, precision
        learned = [name for name in model.arrays if name in model.trained]
        refuse_changed(layer, FRAMEWORK, model.arrays, learned)
        arrays = {array.name: array for array in (*layer.trained, *layer.held)}
        stored: dict[str, Stored] = {name: stored_in(array, FRAMEWORK) for name, array in arrays.items()}
        self.parts = {
            name: part_of(arrays[name], each, model.arrays[each.name].shape) for name, each in stored.items()
        }
        self._wholes = {
            name: whole_of(name, array.shape, [part for part in stored.items() if part[1].name == name])
            for name, array in model.arrays.items()
            if any(each.name == name for each in stored.values())
        }
        unnamed = {name: array for name, array in model.arrays.items() if name not in self._wholes}
        # The task gives the values of all others, so that these are not kept.
        model.arrays = unnamed
        self.hidden: Arrays = {}

    def __call__(self, call: Call[Native], x: jax.Array) -> jax.Array:
        """Compute the outputs; the next state is stored in ``call``."""
        y, state = self.evaluated(call.weights, x, call.key)
        call.state.update(state)
        return y

    def evaluated(self, weights: Weights, x: jax.Array, key: jax.Array | None) -> tuple[jax.Array, Weights]:
        """Compute the outputs and the next state; ``key`` is given in a training step, None in evaluation."""
        outputs, changed = self._evaluate(weights, x, key)
        names = (*(array.name for array in self._layer.held), *self.hidden)
        state = {name: self._next(name, weights[name], changed) for name in names}
        return jax.tree.leaves(outputs)[0], state

    def _next(self, name: str, before: jax.Array, changed: Arrays) -> jax.Array:
        stored = self.parts[name].stored if name in self.parts else Stored(name.removeprefix(_HIDDEN))
        if stored.name not in changed:
            return before
        after: jax.Array = stored.part(changed[stored.name])
        return after.reshape(before.shape).astype(before.dtype)

    def tree(self, trained: Weights) -> Any:
        """Arrange the layer's ``trained`` arrays as an optimizer of the user's model sees them."""
        wholes = {name: whole for name, whole in self._wholes.items() if name in self._model.trained}
        return self._model.tree({name: whole.joined(trained) for name, whole in wholes.items()})

    def by_name(self, tree: Any) -> dict[str, jax.Array]:
        """Return the layer's trained arrays in a tree of this structure (inverse of :meth:`tree`)."""
        own = self._model.by_name(tree)
        parts = {array.name: self.parts[array.name] for array in self._layer.trained}
        return {
            name: part.stored.part(own[part.stored.name]).reshape(part.shape) for name, part in parts.items()
        }

    def _evaluate(self, weights: Weights, x: jax.Array, key: jax.Array | None) -> Evaluated:
        # These change internals of JAX, which other networks do not depend on.
        from harness_jax.models.dropout import without_dropout
        from harness_jax.models.float64 import kept_wide

        dropping = self._layer.dropout != "off"
        with contextlib.ExitStack() as stack:
            if self._precision == "float64":
                stack.enter_context(kept_wide())
            if not dropping:
                stack.enter_context(without_dropout())
            return self._model.evaluate(
                self._arrays(weights), [x], training=key is not None, key=key if dropping else None
            )

    def _arrays(self, weights: Weights) -> Arrays:
        """Collect all of the model's own arrays; in bfloat16 the state remains float32."""
        given = {
            **weights,
            **{array.name: self._lowered(weights[array.name]) for array in self._layer.trained},
        }
        wholes = {name: whole.joined(given) for name, whole in self._wholes.items()}
        hidden = {name.removeprefix(_HIDDEN): weights[name] for name in self.hidden}
        constants = {name: self._lowered(array) for name, array in self._model.arrays.items()}
        return {**constants, **wholes, **hidden}

    def _lowered(self, array: jax.Array) -> jax.Array:
        lower = self._precision == "bfloat16" and is_floating(array)
        return array.astype(jnp.bfloat16) if lower else array

    def try_out(self, network_input: InputShape) -> None:
        """Evaluate the shapes of a training step, so that faults show before any step is timed."""
        wide = jnp.float64 if self._precision == "float64" else jnp.float32
        lower = jnp.bfloat16 if self._precision == "bfloat16" else wide
        weights = {name: jax.ShapeDtypeStruct(part.shape, wide) for name, part in self.parts.items()}
        x = jax.ShapeDtypeStruct(
            (_TRIAL_BATCH, *network_input.shape), jnp.int32 if network_input.integer else lower
        )
        outputs, changed = jax.eval_shape(self._evaluate, weights, x, jax.random.key(0))
        y, *others = jax.tree.leaves(outputs)
        if others or y.shape[1:] != self._layer.outputs:
            raise Unsupported(f"the model's outputs {y.shape[1:]} are not those of the task")
        for name in sorted(changed.keys() & self._model.arrays.keys()):
            if jnp.issubdtype(changed[name].dtype, jax.dtypes.prng_key):
                raise Unsupported(f"the model changes {name}, a random key outside of the generators of flax")
            self.hidden[_HIDDEN + name] = self._model.arrays.pop(name)


# The arrays of a user's own model, and the parts of them that hold the canonical arrays of a task.


class Part(NamedTuple):
    """The part of one of a model's arrays that holds a canonical array, of ``shape`` as it is stored."""

    stored: Stored
    shape: Shape
    canonical_shape: Shape

    def to_stored(self, canonical: np.ndarray) -> np.ndarray:
        return self.stored.in_stored_form(canonical, self.shape)

    def to_canonical(self, part: np.ndarray) -> np.ndarray:
        return self.stored.of_part(part).reshape(self.canonical_shape)


class Whole(NamedTuple):
    """One of a model's arrays, of ``shape``, and the canonical names of its parts in their order."""

    shape: Shape
    axis: int | None
    parts: tuple[str, ...]

    def joined(self, parts: Mapping[str, jax.Array]) -> jax.Array:
        if len(self.parts) == 1:
            return parts[self.parts[0]].reshape(self.shape)
        joined = jnp.concatenate([parts[name] for name in self.parts], axis=self.axis or 0)
        return joined.reshape(self.shape)


def part_of(array: NativeArray, stored: Stored, whole: Shape) -> Part:
    """Return the part of an array of shape ``whole`` that holds a canonical array."""
    length = stored.stop - stored.start
    shape: Shape = (length,) if stored.stop else whole
    if stored.axis is not None:
        shape = (*whole[: stored.axis], length, *whole[stored.axis + 1 :])
    return Part(stored, shape, array.shape)


def whole_of(name: str, shape: Shape, parts: Iterable[tuple[str, Stored]]) -> Whole:
    """Return the array that consists of ``parts``, which must follow each other without gaps."""
    ordered = sorted(parts, key=lambda part: part[1].start)
    axis = ordered[0][1].axis
    length = math.prod(shape) if axis is None else shape[axis] if axis < len(shape) else 0
    ends = [stored.stop or length for _, stored in ordered]
    follow = [stored.start for _, stored in ordered] == [0, *ends[:-1]] and ends[-1] == length
    if not follow or any(stored.axis != axis for _, stored in ordered):
        raise Unsupported(f"the task does not divide {name} of the model into parts: write the task again")
    return Whole(shape, axis, tuple(each for each, _ in ordered))


class Storage:
    """Converts the weights of a task between canonical form and that on the device, by their names.

    Weights on the device are canonical, but for the arrays of a user's own model. Those are as the user's
    code holds them, so that no training step rearranges them. What a step does to weights besides evaluating
    the network does not depend on the order of their elements.

    ``hidden`` is the state of each network that is no weight of the task, as it is before the first step.
    """

    def __init__(self, task: Task, precision: Precision) -> None:
        models = {
            (network, layer): model
            for network, described in task.networks.items()
            for layer, model in native_models(described, precision).items()
        }
        self._parts: dict[str, Part] = {
            f"{network}/{layer}/{name}": part
            for (network, layer), model in models.items()
            for name, part in model.parts.items()
        }
        self.hidden: dict[str, dict[str, np.ndarray]] = {name: {} for name in task.networks}
        for (network, layer), model in models.items():
            self.hidden[network] |= {
                f"{layer}/{name}": np.asarray(each) for name, each in model.hidden.items()
            }

    def shape(self, name: str, canonical: Shape) -> Shape:
        return self._parts[name].shape if name in self._parts else canonical

    def stored(self, name: str, canonical: np.ndarray) -> np.ndarray:
        """Arrange a canonical array as it is stored on the device, maybe as a view."""
        return self._parts[name].to_stored(canonical) if name in self._parts else canonical

    def canonical(self, name: str, stored: np.ndarray) -> np.ndarray:
        """Return the canonical array of a stored one; the inverse of :meth:`stored`."""
        return self._parts[name].to_canonical(stored) if name in self._parts else stored
