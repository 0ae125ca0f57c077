"""Evaluates a model while its calls are recorded."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from types import FunctionType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax._src.numpy import indexing, ufunc_api

from harness.tracing.calls import Trace
from harness.tracing.side import Override
from harness_jax.models.dropout import without_dropout
from harness_jax.models.forms import Model
from harness_jax.models.interception import Hook, intercepted, primitives_intercepted, python_function
from harness_jax.port import functions, primitives
from harness_jax.port.recorder import ENTER, Recorder

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
    for path, leaf in jax.tree_util.tree_leaves_with_path(evaluated.outputs):
        recorder.add_output(leaf, jax.tree_util.keystr(path, simple=True, separator="."))
    trace = recorder.finished()
    trace.state_after = {name: np.asarray(array) for name, array in evaluated.changed.items()}
    return trace


@contextlib.contextmanager
def _recording(recorder: Recorder) -> Iterator[None]:
    hooks: dict[FunctionType, Hook] = {
        function: functools.partial(_hook, recorder, name, translation, inspect.signature(function))
        for function, (name, translation) in _translations().items()
    }
    hooks[ufunc_api.ufunc.__call__] = functools.partial(_ufunc_hook, recorder)
    hooks |= _layer_hooks(recorder)

    def evaluate(
        primitive: Any, operands: tuple[Any, ...], params: dict[str, Any], run: Callable[..., Any]
    ) -> Any:
        if not recorder.listens:
            return run(*operands)
        return primitives.evaluate(recorder, primitive, operands, params, run)

    with intercepted(hooks), primitives_intercepted(evaluate):
        yield


def _translations() -> dict[FunctionType, tuple[str, functions.Translation]]:
    """The functions of JAX and flax that are known, by the object that is called in the end."""
    known: dict[FunctionType, tuple[str, functions.Translation]] = {}
    for owner, names in functions.known_functions():
        for name, translation in names.items():
            function = python_function(getattr(owner, name, None))
            if function is not None:
                known.setdefault(function, (f"{owner.__name__}.{name}", translation))
    known[indexing.rewriting_take] = ("jax.Array.__getitem__", functions.getitem)
    return known


def _hook(
    recorder: Recorder,
    name: str,
    translation: functions.Translation,
    signature: inspect.Signature,
    original: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    if not recorder.listens or not _any_known(recorder, args, kwargs):
        return original(*args, **kwargs)
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()

    def run(**new: Any) -> Any:
        again = signature.bind(*args, **kwargs)
        again.arguments.update(new)
        return original(*again.args, **again.kwargs)

    result = translation(recorder, name, dict(bound.arguments), run)
    return original(*args, **kwargs) if result is ENTER else result


def _any_known(recorder: Recorder, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return any(recorder.knows(each) for each in (*args, *kwargs.values()))


def _ufunc_hook(
    recorder: Recorder, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    function, *operands = args
    kind = functions.UFUNCS.get(function.__name__)
    listens = recorder.listens and any(recorder.knows(operand) for operand in operands)
    if kind is None or not listens or len(operands) != _BINARY:
        return original(*args, **kwargs)
    operands = [
        each if isinstance(each, jax.Array) or np.ndim(each) == 0 else jnp.asarray(each) for each in operands
    ]
    return primitives.arithmetic(
        recorder, kind, f"jax.numpy.{function.__name__}", operands, lambda *new: original(function, *new)
    )


def _layer_hooks(recorder: Recorder) -> dict[FunctionType, Hook]:
    try:
        from harness_jax.port.nnx_layers import hooks
    except ImportError:  # flax is not installed
        return {}
    return hooks(recorder)


def _linen(recorder: Recorder) -> contextlib.AbstractContextManager[Any]:
    try:
        from harness_jax.port.linen_layers import recording
    except ImportError:  # flax is not installed
        return contextlib.nullcontext()
    return recording(recorder)
