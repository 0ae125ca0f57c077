"""Evaluation in float64, without dropout, or both, however a model asks for the contrary.

It asks with ``x.float()``, for example, or by being in training mode.
"""

import contextlib
import functools
import re
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from harness.tracing.functions import replaced
from harness_torch.port.seen import is_in_place, last_name, short_name

_WIDE = {
    **dict.fromkeys((torch.float32, torch.float16, torch.bfloat16), torch.float64),
    **dict.fromkeys((torch.complex64, torch.complex32), torch.complex128),
}
_WIDENING = {
    **dict.fromkeys(("float", "half", "bfloat16"), torch.Tensor.double),
    **dict.fromkeys(("cfloat", "chalf"), torch.Tensor.cdouble),  # type: ignore[attr-defined]
}
_DROP_PATH = re.compile(r"stochastic_?depth|drop_?path|drop_?connect", re.IGNORECASE)
DROPOUTS = frozenset(
    {
        "alpha_dropout",
        "dropout",
        "dropout1d",
        "dropout2d",
        "dropout3d",
        "feature_alpha_dropout",
        "feature_dropout",
    }
)


class Arguments(NamedTuple):
    """A function and what it is called with."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def prepare() -> None:
    """Make torch compute in float64, by functions rather than by fused paths and compiled code.

    The first model has the same initial values each time; one that is built again, those that follow.
    """
    if torch.get_default_dtype() != torch.float64:
        torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    torch.backends.mha.set_fastpath_enabled(False)
    run_eagerly()


_compile = torch.compile


@functools.wraps(_compile)
def _compile_nothing(*args: Any, **kwargs: Any) -> Any:
    compiled = _compile(*args, **kwargs)
    torch.compiler.set_stance("force_eager")
    return compiled


def run_eagerly() -> None:
    """Run compiled code without the compiler.

    If the compiler is not imported, nothing is done: importing it takes longer than comparing a small model.
    """
    torch.compile = _compile_nothing
    if "torch._dynamo" in sys.modules:
        torch.compiler.set_stance("force_eager")


def in_float64(call: Arguments) -> Arguments:
    """Replace lower types in a call by float64."""
    if (widening := _WIDENING.get(last_name(call.function))) is not None and call.args:
        return Arguments(widening, call.args[:1], {})
    leaves = (*call.args, *call.kwargs.values())
    if not any(isinstance(leaf, torch.dtype) for leaf in leaves):
        return call
    args = tuple(map(_raised, call.args))
    return Arguments(call.function, args, {name: _raised(each) for name, each in call.kwargs.items()})


def _raised(argument: Any) -> Any:
    return _WIDE.get(argument, argument) if isinstance(argument, torch.dtype) else argument


def widened(module: torch.nn.Module) -> torch.nn.Module:
    """Convert the parameters and buffers of ``module`` to float64 and complex128, and return the module."""
    module.double()  # leaves complex numbers as they are
    for each in (*module.parameters(), *module.buffers()):
        if each.is_complex():
            each.data = each.data.to(torch.complex128)
    return module


def drop_path_rate(module: torch.nn.Module) -> float | None:
    """Return the rate at which a module leaves out whole branches; None for other modules."""
    if not _DROP_PATH.search(type(module).__name__):
        return None
    rates = (getattr(module, name, None) for name in ("p", "drop_prob", "drop_rate", "rate"))
    return next((float(rate) for rate in rates if isinstance(rate, int | float)), 0.0)


class Exact(TorchFunctionMode):
    """Evaluates without recording: in float64 if ``raised``, and without dropout unless ``dropping``."""

    def __init__(self, *, raised: bool = True, dropping: bool = False) -> None:
        super().__init__()
        self._raised, self._dropping = raised, dropping

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        call = Arguments(func, args, kwargs or {})
        call = in_float64(call) if self._raised else call
        if self._dropping:
            return call.function(*call.args, **call.kwargs)
        name = short_name(func)
        if name in DROPOUTS:
            return call.args[0] if call.args else call.kwargs["input"]
        if self._raised and name == "hard_sigmoid":
            call = call._replace(function=_hard_sigmoid_in_place if is_in_place(func) else _hard_sigmoid)
        call = without_dropout(name, call)
        return call.function(*call.args, **call.kwargs)

    def __enter__(self) -> Any:
        """Enter the mode, and replace how modules are called."""
        self._patched = contextlib.ExitStack()
        if not self._dropping:
            self._patched.enter_context(called_by(_without_drop_path))
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._patched.close()


def _hard_sigmoid(input: torch.Tensor, inplace: bool = False) -> torch.Tensor:  # noqa: A002
    """Compute the hard sigmoid by its formula: the gradient of torch's own has 1/6 in float32 as factor."""
    made = (input + 3).clamp(0, 6) / 6
    return input.copy_(made) if inplace else made


_hard_sigmoid_in_place = functools.partial(_hard_sigmoid, inplace=True)


def _without_drop_path(call: Callable[..., Any], module: torch.nn.Module, args: Any, kwargs: Any) -> Any:
    return args[0] if drop_path_rate(module) is not None and args else call(module, *args, **kwargs)


def called_by(caller: Callable[..., Any]) -> contextlib.AbstractContextManager[None]:
    """Let ``caller(call, module, args, kwargs)`` carry out every call of a module."""
    call = torch.nn.Module.__call__

    def called(module: torch.nn.Module, /, *args: Any, **kwargs: Any) -> Any:
        return caller(call, module, args, kwargs)

    return replaced([(torch.nn.Module, "__call__", called)])


#: Where functions that contain dropout have its rate, by position and by name.
_RATES = {"scaled_dot_product_attention": (4, "dropout_p"), "multi_head_attention_forward": (10, "dropout_p")}
_RECURRENT = {"gru", "lstm", "rnn_tanh", "rnn_relu"}


def without_dropout(name: str, call: Arguments) -> Arguments:
    """Set the rate in a call to 0 if the function contains dropout."""
    if name in _RECURRENT:
        # The packed variant has the batch sizes as second argument, and all others one place further.
        packed = isinstance(call.args[3], list | tuple)
        position, keyword = (6 if packed else 5), "dropout"
    elif name in _RATES:
        position, keyword = _RATES[name]
    else:
        return call
    if len(call.args) > position:
        return call._replace(args=(*call.args[:position], 0.0, *call.args[position + 1 :]))
    return call._replace(kwargs={**call.kwargs, keyword: 0.0}) if keyword in call.kwargs else call


def tensors_in(tree: Any) -> list[torch.Tensor]:
    """Return all tensors of nested lists, tuples and dictionaries."""
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, torch.Tensor)]
