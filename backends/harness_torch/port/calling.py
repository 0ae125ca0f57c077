"""Calls of torch functions with other tensors, and the bodies of functions in Python."""

import functools
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from torch.utils import _pytree as pytree

from harness_torch.port.exact import Arguments
from harness_torch.port.recorder import Run
from harness_torch.port.seen import Tensor


def runner(call: Arguments, inputs: Sequence[Tensor]) -> Run:
    """A function of the inputs that calls what was called, with them in the places of those tensors."""
    leaves, structure = pytree.tree_flatten((call.args, call.kwargs))
    places = _places(leaves, inputs)

    def run(tensors: list[Tensor]) -> Any:
        for number, own in enumerate(places):
            for place in own:
                leaves[place] = tensors[number]
        args, kwargs = pytree.tree_unflatten(leaves, structure)
        return call.function(*args, **kwargs)

    return run


def _places(leaves: Sequence[Any], inputs: Sequence[Tensor]) -> list[list[int]]:
    """For each input its places among the arguments; an input that is given twice has one each."""
    found = []
    for number, tensor in enumerate(inputs):
        places = [place for place, leaf in enumerate(leaves) if leaf is tensor]
        again = [other for other, each in enumerate(inputs) if each is tensor]
        found.append([places[again.index(number)]] if len(again) == len(places) else places)
    return found


#: Guards at the beginning of functions in Python, which let a mode see them.
_GUARDS = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")


@functools.lru_cache(maxsize=1024)
def body(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """A function in Python that does the same but is not seen itself, only what it calls; else None."""
    plain = getattr(function, "__wrapped__", function)
    if not isinstance(plain, FunctionType):
        return None
    if plain is not function:
        return plain
    unguarded = dict.fromkeys(_GUARDS, lambda *_: False)
    copy = FunctionType(
        plain.__code__,
        {**plain.__globals__, **unguarded},
        plain.__name__,
        plain.__defaults__,
        plain.__closure__,
    )
    copy.__kwdefaults__ = plain.__kwdefaults__
    return copy
