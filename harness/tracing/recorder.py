"""Writes down the calls of one evaluation: what they do, their values and their parameters.

A value is known by the identity of its tensor, which the recorder keeps alive. What is computed from tensors
that are not known is a constant, and is not recorded.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Signature
from typing import Any, Literal, Self

import numpy as np

from harness.tracing.calls import Call, Stored, Trace, Value
from harness.tracing.semantics import AnySemantics, Opaque
from harness.tracing.side import Override
from harness.tracing.user_code import user_line

Tensor = Any
#: Of a number, by type.
_BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}


def named_tensors(
    outputs: Any, is_tensor: Callable[[Any], bool], name: str = ""
) -> Iterator[tuple[str, Tensor]]:
    """The tensors that a model returns, named by position, key or field; what is no tensor is left out.

    Those of a dictionary come in alphabetical order, in which every framework gives them.
    """
    items: Iterable[tuple[Any, Any]] = ()
    if is_tensor(outputs):
        yield name, outputs
    elif isinstance(outputs, Mapping):
        items = sorted(outputs.items(), key=lambda item: str(item[0]))
    elif isinstance(outputs, tuple) and hasattr(outputs, "_fields"):
        items = zip(outputs._fields, outputs, strict=True)
    elif isinstance(outputs, list | tuple):
        items = enumerate(outputs)
    elif dataclasses.is_dataclass(outputs):
        items = [(field.name, getattr(outputs, field.name)) for field in dataclasses.fields(outputs)]
    for key, each in items:
        yield from named_tensors(each, is_tensor, f"{name}.{key}" if name else str(key))


class Recorder:
    """The calls and values of an evaluation in progress.

    ``names`` are those of the parameters by the ``id`` of what stands for them. A subclass says how its
    framework holds numbers.
    """

    def __init__(self, names: Mapping[int, str], overrides: Sequence[Override] = ()) -> None:
        self.trace = Trace([], [], [], [])
        self.names = names
        self.busy = False
        self._overrides = {(each.call, each.of, each.place): each.array for each in overrides}
        self._places: dict[int, int] = {}
        self._named: dict[str, int] = {}
        self._alive: list[Tensor] = []

    # What a framework has of its own.

    @property
    def path(self) -> str:
        """The name of the part of the model that runs now."""
        return ""

    def numbers(self, tensor: Tensor) -> np.ndarray:
        """What a tensor holds now, which nobody writes into later."""
        raise NotImplementedError

    def numbers_of(self, name: str) -> np.ndarray:
        """What the parameter of this name holds."""
        raise NotImplementedError

    def replacement(self, array: np.ndarray, of: Tensor) -> Tensor:
        """A tensor of the array's numbers and of another one's type and shape."""
        raise NotImplementedError

    def is_tensor(self, leaf: Any) -> bool:
        """Whether something that a call takes or gives is a tensor."""
        raise NotImplementedError

    def flattened(self, tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
        """The leaves of a tree, and what makes such a tree of others."""
        raise NotImplementedError

    def type_of(self, tensor: Tensor) -> str:
        """The type of its numbers: ``float32``."""
        return str(tensor.dtype)

    def made(self, tensor: Tensor) -> Tensor:
        """The tensor to go on with in the place of one that a call gave."""
        return tensor

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Record nothing for a while."""
        before, self.busy = self.busy, True
        try:
            yield
        finally:
            self.busy = before

    # What all have in common.

    def add_input(self, tensor: Tensor, name: str) -> None:
        """Make a tensor an input of the model."""
        self.trace.inputs.append(self.add(tensor, "input", name))

    def add_output(self, tensor: Tensor, name: str) -> None:
        """Make a tensor an output of the model."""
        place = self.place(tensor)
        value = self.trace.values[place]
        value.name = value.name or name
        self.trace.outputs.append(place)

    def knows(self, tensor: Tensor) -> bool:
        """Whether a tensor is a value already, or a parameter."""
        return id(tensor) in self._places or id(tensor) in self.names

    def place(self, tensor: Tensor) -> int:
        """The place of a tensor among the values; a constant if it is not known."""
        name = self.names.get(id(tensor))
        if name is not None:
            return self.parameter(name)
        return self._places[id(tensor)] if id(tensor) in self._places else self.add(tensor, "constant")

    def parameter(self, name: str) -> int:
        """The place of a parameter among the values."""
        if name not in self._named:
            with self.quiet():  # reading a variable is a primitive of TensorFlow
                self._named[name] = len(self.trace.values)
                self.trace.values.append(Value("parameter", self.numbers_of(name), name))
        return self._named[name]

    def add(self, tensor: Tensor, source: Literal["input", "constant", "call"], name: str = "") -> int:
        """Make a tensor a new value."""
        self.trace.values.append(Value(source, self.numbers(tensor), name))
        return self.identify(tensor, len(self.trace.values) - 1)

    def identify(self, tensor: Tensor, place: int) -> int:
        """Take a tensor for this value from now on."""
        self._places[id(tensor)] = place
        self._alive.append(tensor)
        return place

    def alias(self, tensor: Tensor, of: Tensor) -> None:
        """Take a tensor for the same value as another one that is known, unless its numbers are rounded."""
        if not self.knows(of) or self.knows(tensor):
            return
        after, before = (_BYTES.get(self.type_of(each), 0) for each in (tensor, of))
        if 0 < after < before:  # never in float64
            self.call(f"cast to {self.type_of(tensor)}", Opaque(function="cast"), [of], lambda _: tensor)
        else:
            self.identify(tensor, self.place(of))

    def overridden(self, of: Literal["input", "output"], number: int, tensors: Sequence[Tensor]) -> list[Any]:
        """The tensors that a call takes or gives, those that are overridden replaced."""
        given = [self._overrides.get((number, of, place)) for place in range(len(tensors))]
        return [
            tensor if array is None else self.replacement(array, tensor)
            for array, tensor in zip(given, tensors, strict=True)
        ]

    def begin(
        self,
        function: str,
        does: AnySemantics,
        places: list[int],
        parameters: Mapping[str, Stored] | None = None,
        path: str | None = None,
    ) -> Call:
        """A new call, which has no outputs yet."""
        call = Call(
            path=self.path if path is None else path,
            function=function,
            does=does,
            inputs=places,
            outputs=[],
            parameters=dict(parameters or {}),
            line=user_line(),
        )
        self.trace.calls.append(call)
        return call

    def call(
        self,
        function: str,
        does: AnySemantics,
        inputs: Sequence[Tensor],
        run: Callable[..., Any],
        parameters: Mapping[str, Stored] | None = None,
        path: str | None = None,
    ) -> Any:
        """Carry out and record one call of these inputs; returns what it gave, or what overrides it."""
        number, places = len(self.trace.calls), [self.place(tensor) for tensor in inputs]
        for stored in (parameters or {}).values():
            self.parameter(stored.name)
        given = self.overridden("input", number, inputs)
        call = self.begin(function, does, places, parameters, path)
        leaves, packed = self.flattened(self.unheard(run, *given))
        leaves = [self.made(each) for each in self.overridden("output", number, leaves)]
        call.outputs = [self.add(each, "call") for each in leaves if self.is_tensor(each)]
        return packed(leaves)

    def unheard(self, run: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run something without recording what it does."""
        with self.quiet():
            return run(*args, **kwargs)


@dataclass(frozen=True)
class Running:
    """A function that is being called with ``arguments``, by name; ``run`` calls it with changed ones."""

    recorder: Any
    function: str
    arguments: dict[str, Any]
    run: Callable[..., Any]
    path: str | None = None
    """The name of the part of the model; None for the one that runs now."""

    @classmethod
    def of(
        cls,
        recorder: Any,
        function: str,
        signature: Signature,
        original: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        **fields: Any,
    ) -> Self:
        """The call of a function of this signature; its arguments include defaults, and no ``self``."""
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        parameters = list(signature.parameters.values())[len(args) :]
        names = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]

        def run(**changed: Any) -> Any:
            again = signature.bind(*args, **kwargs)
            again.arguments.update(changed)
            # What the caller gave by name goes by name: the original need not take it in a place.
            later = [name for name in names if name in again.arguments]
            named = {name: again.arguments[name] for name in later} | again.kwargs
            return original(*again.args[: len(args)], **named)

        named = {name: each for name, each in bound.arguments.items() if name != "self"}
        return cls(recorder, function, named, run, **fields)

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def get(self, name: str, default: Any = None) -> Any:
        """An argument that not every such function has."""
        return self.arguments.get(name, default)

    @property
    def first(self) -> str:
        """The name of the first argument."""
        return next(iter(self.arguments))

    @property
    def x(self) -> Tensor:
        """The first argument."""
        return self.arguments[self.first]

    def record(self, does: AnySemantics, *names: str, parameters: Mapping[str, Stored] | None = None) -> Any:
        """Record it as one call; its inputs are the tensors of these arguments, by default of the first."""
        names = names or (self.first,)
        leaves, packed = self.recorder.flattened([self.arguments[name] for name in names])
        places = [place for place, leaf in enumerate(leaves) if self.recorder.is_tensor(leaf)]

        def run(*tensors: Tensor) -> Any:
            changed = list(leaves)
            for place, tensor in zip(places, tensors, strict=True):
                changed[place] = tensor
            return self.run(**dict(zip(names, packed(changed), strict=True)))

        return self.part(does, [leaves[place] for place in places], run, parameters)

    def part(
        self,
        does: AnySemantics,
        inputs: Sequence[Tensor],
        run: Callable[..., Any],
        parameters: Mapping[str, Stored] | None = None,
    ) -> Any:
        """Record one call of several that it consists of."""
        return self.recorder.call(self.function, does, inputs, run, parameters, self.path)
