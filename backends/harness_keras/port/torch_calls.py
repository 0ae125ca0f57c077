"""Calls of PyTorch itself in the code of a Keras model on PyTorch."""

import contextlib
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from harness.tracing import semantics as kinds
from harness_keras.port import operators
from harness_keras.port.recorder import active


def watching() -> contextlib.AbstractContextManager[Any]:
    """Report every function of tensors to the recorder."""
    return _Watching()


class _Watching(TorchFunctionMode):
    """A function that is not known is one opaque call."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        recorder = active()
        name = getattr(func, "__name__", "").strip("_")
        if recorder is None or name in _NOTHING or not args or not operators.is_of(recorder, args, kwargs):
            return func(*args, **kwargs)
        if any(getattr(each, "is_meta", False) for each in args):
            return func(*args, **kwargs)
        result = operators.read(operators.Foreign(recorder, f"torch.{name}", name, func, args, kwargs))
        if result is not NotImplemented:
            return result
        with recorder.quiet():
            result = func(*args, **kwargs)
        if isinstance(result, torch.Tensor) and not recorder.is_known(result):
            tensors = [each for each in args if isinstance(each, torch.Tensor)]
            recorder.call(f"torch.{name}", kinds.Opaque(function=f"torch.{name}"), tensors, lambda *_: result)
        return result


#: Functions that compute no value of a model.
_NOTHING = frozenset(
    {"get", "set", "size", "dim", "numel", "is_floating_point", "numpy", "cpu", "item", "repr"}
)
