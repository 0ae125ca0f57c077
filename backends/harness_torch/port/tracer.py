"""Sees every torch function that a model calls, and has the known ones recorded."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from harness.tracing.functions import replaced
from harness.tracing.semantics import Dropout, Opaque, Slice, Transposition
from harness_torch.port.exact import (
    DROPOUTS,
    Arguments,
    called_by,
    drop_path_rate,
    in_float64,
    tensors_in,
    without_dropout,
)
from harness_torch.port.recorder import Recorder, Run
from harness_torch.port.seen import (
    FACTORIES,
    IDENTITIES,
    MODULES,
    QUERIES,
    REWRITTEN,
    TRANSLATORS,
    Seen,
    Tensor,
    full_name,
    is_in_place,
    last_name,
    short_name,
)

# Calls of torch functions with other tensors, and the bodies of functions in Python.


def runner(call: Arguments, inputs: Sequence[Tensor]) -> Run:
    """Return a function that repeats ``call`` with other tensors in the places of ``inputs``."""
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
    """Return each input's places among the arguments; an input that is given twice has one place each."""
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
    """Return a function in Python that does the same as ``function`` with visible calls; else None."""
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


# The mode that sees the calls.

_active: list["Tracer"] = []
_FIRST_PARAMETER = {"input": "x", "self": "x", "tensors": "x", "condition": "x", "query": "x"}
_SYNONYMS = {"axis": "dim", "keepdims": "keepdim", "exponent": "other", **_FIRST_PARAMETER}


def active() -> "Tracer":
    """Return the tracer of the evaluation that runs now."""
    return _active[-1]


class NotTranslated(Exception):
    """A rewriting does not cover these arguments."""


def require(covered: bool) -> None:
    """Leave a function unchanged unless a rewriting covers its arguments."""
    if not covered:
        raise NotTranslated


class Tracer(TorchFunctionMode):
    """Records the calls of a model in float64, whose modules have the given names by ``id``."""

    def __init__(self, recorder: Recorder, module_names: dict[int, str]) -> None:
        super().__init__()
        self.recorder = recorder
        self._names = module_names
        recorder.recording = lambda: self

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        call = in_float64(Arguments(func, args, kwargs or {}))
        tensors = tensors_in((call.args, call.kwargs))
        live = any(map(self.recorder.knows, tensors)) and not any(map(_is_batched, tensors))
        name = short_name(call.function)
        last = last_name(call.function)
        if not live or name in FACTORIES or last in QUERIES or last.startswith("is_"):
            return without_dropout(name, call).function(*call.args, **call.kwargs)
        if name in DROPOUTS:
            return self._dropout(call)
        if name in IDENTITIES:
            return self._identity(call)
        return self._known(name, call)

    def _known(self, name: str, call: Arguments) -> Any:
        """Record a function of the vocabulary, the calls of a function in Python, or an opaque call."""
        if name in REWRITTEN:
            with contextlib.suppress(NotTranslated):
                return self._rewrite(REWRITTEN[name], call)
        still = without_dropout(name, call)
        if name in TRANSLATORS and (seen := _translated(TRANSLATORS[name], still)) is not None:
            return self._record(still, seen)
        if (inner := body(call.function)) is not None:  # which calls dropout where it has any
            with self:
                return inner(*call.args, **call.kwargs)
        return self._opaque(still)

    def call_module(
        self, call: Callable[..., Any], module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call a module while the calls in it have its name."""
        with self.recorder.inside(self._names.get(id(module), self.recorder.paths[-1])):
            rate = drop_path_rate(module)
            if rate is not None and args and self.recorder.knows(args[0]):
                does = Dropout(rate=rate, active=module.training and rate > 0)
                seen = Seen(does, args[:1])
                return self.recorder.carry_out(seen, lambda tensors: tensors[0], type(module).__name__)
            if isinstance(module, torch.jit.ScriptModule):
                # Its functions torch shows nobody.
                compiled = Arguments(functools.partial(call, module), args, kwargs)
                return self._opaque(compiled, f"TorchScript {module.original_name}")
            if (whole := _whole(module)) is not None:
                with contextlib.suppress(NotTranslated):
                    return whole(module, *args, **kwargs)
            return call(module, *args, **kwargs)

    def __enter__(self) -> Any:
        """Enter the mode, and see the calls of modules and of compiled functions, once."""
        if not any(each is self for each in _active):
            self._patched = contextlib.ExitStack()
            self._patched.enter_context(called_by(self.call_module))
            scripted = torch.jit.ScriptFunction
            call = scripted.__call__

            def opaque(function: Any, *args: Any, **kwargs: Any) -> Any:
                return self._opaque(Arguments(functools.partial(call, function), args, kwargs), function.name)

            self._patched.enter_context(replaced([(scripted, "__call__", opaque)]))
        _active.append(self)
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        _active.pop()
        if not any(each is self for each in _active):
            self._patched.close()
            self.recorder.recording = contextlib.nullcontext  # else both hold each other, and all tensors

    def _record(self, call: Arguments, seen: Seen) -> Any:
        run = runner(call, seen.inputs)
        function = full_name(call.function)
        record = functools.partial(self.recorder.carry_out, seen, run, function)
        if seen.layout is None or is_in_place(call.function):
            return record()
        result = call.function(*call.args, **call.kwargs)
        if _is_same(result, seen):
            self.recorder.alias(result, seen.inputs[0])
            return result
        return self.recorder.defer(seen.inputs[0], lambda x: run([x]), seen.layout, record)

    def _dropout(self, call: Arguments) -> Any:
        bound = dict(zip(("input", "p", "training", "inplace"), call.args, strict=False)) | call.kwargs
        training = bool(bound.get("training", bound.get("train", True)))
        rate = float(bound.get("p", 0.5))
        seen = Seen(Dropout(rate=rate, active=training and rate > 0), [bound["input"]])
        return self.recorder.carry_out(seen, lambda tensors: tensors[0], full_name(call.function))

    def _identity(self, call: Arguments) -> Any:
        before = call.args[0] if call.args else call.kwargs["input"]
        result = call.function(*call.args, **call.kwargs)
        if not isinstance(result, Tensor) or not self.recorder.knows(before):
            return result
        if before.dtype.is_floating_point and not result.dtype.is_floating_point:
            return self._opaque(call)
        self.recorder.alias(result, before)
        return result

    def _rewrite(self, function: Callable[..., Any], call: Arguments) -> Any:
        kwargs = _renamed(call)
        in_place = is_in_place(call.function) or call.kwargs.get("inplace", False)
        with self:
            try:
                result = function(*call.args, **kwargs)
            except TypeError as error:
                raise NotTranslated from error
        if in_place:
            call.args[0].copy_(result)
            self.recorder.identify(call.args[0], self.recorder.place(result))
            return call.args[0]
        return result

    def _opaque(self, call: Arguments, function: str | None = None) -> Any:
        tensors = tensors_in((call.args, call.kwargs))
        run = runner(call, tensors)
        name = full_name(call.function) if function is None else function
        return self.recorder.carry_out(Seen(Opaque(function=name), tensors), run, name, tensors)


def _whole(module: torch.nn.Module) -> Callable[..., Any] | None:
    """Return the function that carries out a module whose call as a whole is known; None if there is none."""
    for kind in type(module).__mro__:
        if kind.__name__ in MODULES and type(module).forward is getattr(kind, "forward", None):
            return MODULES[kind.__name__]
    return None


def _is_same(result: Tensor, seen: Seen) -> bool:
    """Check that a change of shape leaves the elements in place."""
    if result.shape != seen.inputs[0].shape:
        return False
    does = seen.does
    if isinstance(does, Transposition):
        return does.axes == tuple(range(len(does.axes)))
    return not isinstance(does, Slice) or does.index == "[:]"


def _is_batched(tensor: Tensor) -> bool:
    """Check for a tensor inside ``torch.func.vmap``, which stands for many and has no numbers of its own."""
    return bool(torch._C._functorch.is_functorch_wrapped_tensor(tensor))  # noqa: SLF001  there is no other


def _renamed(call: Arguments) -> dict[str, Any]:
    """Name arguments as translators do; arguments without effect are left out."""
    kwargs = {_SYNONYMS.get(name, name): each for name, each in call.kwargs.items() if name != "inplace"}
    if kwargs.get("out", ()) is None:
        del kwargs["out"]
    return kwargs


def _translated(translator: Callable[..., Seen | None], call: Arguments) -> Seen | None:
    try:
        return translator(*call.args, **_renamed(call))
    except TypeError:
        return None
