"""The side of a model in JAX: its recorded evaluation, its gradients and its training."""

import contextlib
import functools
import importlib.metadata
import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FunctionType, MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax._src.numpy import indexing, ufunc_api

from harness.tracing.calls import InputShape, Loss, Trace
from harness.tracing.functions import Reading
from harness.tracing.recorder import Running
from harness.tracing.side import (
    LEARNING_RATE,
    Batch,
    Gradients,
    Inputs,
    Override,
    OwnTraining,
    Trained,
    Update,
    Updates,
)
from harness_jax.models import has_flax, kind_of, model_of
from harness_jax.models.dropout import without_dropout
from harness_jax.models.float64 import optimized, widened
from harness_jax.models.forms import Arrays, Model, cast
from harness_jax.models.interception import Hook, intercepted, primitives_intercepted, python_function
from harness_jax.port import functions, primitives
from harness_jax.port.recorder import Recorder

_PACKAGES = ("jax", "flax", "optax")


class JaxSide:
    """See :class:`harness.tracing.side.Side`; arrays are channels last in JAX as they are in the contract."""

    backend = "jax"
    seeded = False  # keys stand in the code, so every seed would begin alike

    def __init__(self, built: Any, shapes: Sequence[InputShape], own: OwnTraining) -> None:
        self.framework = "jax" if kind_of(built) == "pure" else "flax"
        self._model = model_of(built, shapes, exact=True)
        self.draws = self._model.draws
        self.versions = {
            name: importlib.metadata.version(name) for name in _PACKAGES if importlib.util.find_spec(name)
        }
        self._own = own
        self._compiled: dict[tuple[Any, str], Any] = {}

    def parameters(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(array) for name, array in self._model.arrays.items()}

    def trained(self) -> set[str]:
        return set(self._model.trained)

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        self._model.arrays |= cast(parameters, self._model.arrays)

    def trace(self, inputs: Inputs, *, training: bool, overrides: Sequence[Override] = ()) -> Trace:
        return traced(self._model, [_input(each) for each in inputs], training=training, overrides=overrides)

    def gradients(
        self, inputs: Inputs, targets: np.ndarray, loss: Loss, *, output: str = "", own: bool = False
    ) -> Gradients:
        given, wanted = [_input(each) for each in inputs], jnp.asarray(targets)
        function = own_loss(self._own, loss) if own else LOSSES[loss]
        places = [place for place, each in enumerate(given) if jnp.issubdtype(each.dtype, jnp.floating)]
        arrays = self._model.arrays
        with without_dropout(), optimized():
            (value, made), (of_trained, of_inputs) = self._differentiated(function, output)(
                {name: array for name, array in arrays.items() if name in self._model.trained},
                {place: given[place] for place in places},
                arrays,
                given,
                wanted,
            )
            of_output = jax.grad(function)(made, wanted)
        return Gradients(
            loss=float(value),
            parameters={name: np.asarray(each) for name, each in of_trained.items()},
            inputs=[np.asarray(of_inputs[place]) for place in places],
            output=np.asarray(made),
            of_output=np.asarray(of_output),
        )

    def _differentiated(self, function: Any, output: str) -> Any:
        """Compile the loss of an output and its gradients, once for all parameters and inputs of a shape."""

        def loss_of(
            trained: Arrays, floats: dict[int, Any], state: Arrays, given: list[Any], wanted: Any
        ) -> Any:
            tensors = [floats.get(place, each) for place, each in enumerate(given)]
            evaluated = self._model.evaluate({**state, **trained}, tensors, training=True)
            made = _chosen(evaluated.outputs, output)
            return function(made, wanted), made

        key = function, output
        if key not in self._compiled:
            self._compiled[key] = jax.jit(jax.value_and_grad(loss_of, argnums=(0, 1), has_aux=True))
        return self._compiled[key]

    def train(
        self,
        batches: Sequence[Batch],
        loss: Loss,
        *,
        output: str = "",
        aligned: bool = False,
        held: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> Trained:
        model, function = self._model, own_loss(self._own, loss)
        optimizer = self._own.make_optimizer() if self._own.make_optimizer else Descent()

        def loss_of(tree: Any, state: Arrays, inputs: list[Any], targets: Any) -> Any:
            evaluated = model.evaluate({**state, **model.by_name(tree)}, inputs, training=True)
            return function(_chosen(evaluated.outputs, output), targets), evaluated.changed

        def one_step(tree: Any, memory: Any, state: Arrays, inputs: list[Any], targets: Any) -> Any:
            (value, changed), slopes = jax.value_and_grad(loss_of, has_aux=True)(tree, state, inputs, targets)
            if held:
                named = model.by_name(slopes)
                slopes = model.tree(
                    {name: jnp.where(held.get(name, False), 0, named[name]) for name in named}
                )
            updates, memory = optimizer.update(slopes, memory, tree)
            tree = jax.tree.map(lambda each, by: each + by, tree, updates)
            return tree, memory, {**state, **changed}, value

        tree = model.tree({name: array for name, array in model.arrays.items() if name in model.trained})
        state = {name: array for name, array in model.arrays.items() if name not in model.trained}
        # A memory of narrow type, such as that of accumulated gradients in optax, is written in float64.
        memory = jax.tree.map(
            lambda each: widened(each) if isinstance(each, jax.Array) else each, optimizer.init(tree)
        )
        losses = []
        step: Any = jax.jit(one_step)
        with without_dropout(), optimized():
            for inputs, targets in batches:
                given = [_input(each) for each in inputs]
                tree, memory, state, value = step(tree, memory, state, given, jnp.asarray(targets))
                losses.append(float(value))
        after = {**model.arrays, **state, **model.by_name(tree)}
        return Trained(losses, {name: np.asarray(array) for name, array in after.items()})

    def updates(self) -> Updates | None:
        """Return ``unknown`` rules: an optax transformation hides its rules and their options in closures."""
        return (
            None
            if self._own.make_optimizer is None
            else dict.fromkeys(self._model.trained, Update("unknown"))
        )


def _input(array: np.ndarray) -> jnp.ndarray:
    return jnp.asarray(array, jnp.float64) if np.issubdtype(array.dtype, np.floating) else jnp.asarray(array)


# An evaluation while its calls are recorded.

_BINARY = 2


def traced(model: Model, inputs: Sequence[Any], *, training: bool, overrides: Sequence[Override]) -> Trace:
    """Evaluate once, recording every call."""
    arrays = dict(model.arrays)
    recorder = Recorder(arrays, overrides)
    for number, array in enumerate(inputs):
        recorder.add_input(array, f"input {number}")
    # The interceptor of linen that comes first sees a call first, and the hook of a function that comes last.
    with _linen(recorder), without_dropout(), _recording(recorder):
        evaluated = model.evaluate(arrays, inputs, training=training, recorder=recorder)
    for name, leaf in _named(evaluated.outputs).items():
        recorder.add_output(leaf, name)
    trace = recorder.trace
    for value in trace.values:
        value.array = np.asarray(value.array)
    trace.state_after = {name: np.asarray(array) for name, array in evaluated.changed.items()}
    return trace


@contextlib.contextmanager
def _recording(recorder: Recorder) -> Iterator[None]:
    hooks: dict[FunctionType, Hook] = {
        function: functools.partial(_hook, recorder, name, reading, inspect.signature(function))
        for function, (name, reading) in _translations().items()
    }
    hooks[ufunc_api.ufunc.__call__] = functools.partial(_ufunc_hook, recorder)
    if has_flax():
        from harness_jax.port.flax_layers import nnx_hooks

        hooks |= nnx_hooks(recorder)

    def evaluate(
        primitive: Any, operands: tuple[Any, ...], params: dict[str, Any], run: Callable[..., Any]
    ) -> Any:
        if not recorder.listens:
            return run(*operands)
        return primitives.evaluate(recorder, primitive, operands, params, run)

    with intercepted(hooks), primitives_intercepted(evaluate):
        yield


def _translations() -> dict[FunctionType, tuple[str, Reading]]:
    """Return the known functions of JAX and flax, by the innermost function that is called."""
    known: dict[FunctionType, tuple[str, Reading]] = {}
    for owner, names in functions.known_functions():
        for name, reading in names.items():
            function = python_function(getattr(owner, name, None))
            if function is not None:
                known.setdefault(function, (f"{owner.__name__}.{name}", reading))
    known[indexing.rewriting_take] = ("jax.Array.__getitem__", functions.getitem)
    return known


def _hook(
    recorder: Recorder,
    name: str,
    reading: Reading,
    signature: inspect.Signature,
    original: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    if not recorder.listens or not any(map(recorder.knows, (*args, *kwargs.values()))):
        return original(*args, **kwargs)
    result = reading(Running.of(recorder, name, signature, original, args, kwargs))
    return original(*args, **kwargs) if result is NotImplemented else result


def _ufunc_hook(
    recorder: Recorder, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    function, *operands = args
    kind = function.__name__
    listens = recorder.listens and any(recorder.knows(operand) for operand in operands)
    if kind not in functions.UFUNCS or not listens or len(operands) != _BINARY:
        return original(*args, **kwargs)
    operands = [recorder.operand(each) for each in operands]
    return recorder.arithmetic(f"jax.numpy.{kind}", kind, operands, functools.partial(original, function))


def _linen(recorder: Recorder) -> contextlib.AbstractContextManager[Any]:
    if not has_flax():
        return contextlib.nullcontext()
    from flax import linen

    from harness_jax.port.flax_layers import intercept

    return linen.intercept_methods(functools.partial(intercept, recorder))


# Losses, and the optimizer of a side that gives none.

LossOf = Callable[[Any, Any], Any]


class Descent:
    """Gradient descent in the form of an optax transformation."""

    def init(self, _: Any) -> None:
        """Return no state: gradient descent remembers nothing."""

    def update(self, gradients: Any, memory: None, _: Any) -> tuple[Any, None]:
        return jax.tree.map(lambda gradient: -LEARNING_RATE * gradient, gradients), memory


def _cross_entropy(outputs: Any, targets: Any) -> Any:
    """Compute the mean cross-entropy of logits; classes are integers along the last axis of the outputs."""
    logs = jax.nn.log_softmax(outputs, axis=-1)
    return -jnp.take_along_axis(logs, targets[..., None], axis=-1).mean()


LOSSES: dict[Loss, LossOf] = {
    "cross-entropy": _cross_entropy,
    "mse": lambda outputs, targets: jnp.square(outputs - targets).mean(),
}


def own_loss(own: OwnTraining, loss: Loss) -> LossOf:
    """Return the user's loss, averaged where it gives a number per sample, or else the named loss."""
    made = LOSSES[loss] if own.make_loss is None else own.make_loss()
    return lambda outputs, targets: jnp.mean(made(outputs, targets))


def _named(outputs: Any) -> dict[str, Any]:
    """Return the leaves of a model's outputs by their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(outputs)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def _chosen(outputs: Any, name: str) -> Any:
    named = _named(outputs)
    return named.get(name, next(iter(named.values())))
