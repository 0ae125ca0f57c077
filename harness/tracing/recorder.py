"""Writes down the calls of one evaluation: what they do, their values and their parameters.

A value is known by the identity of its tensor, which the recorder keeps alive. What is computed from tensors
that are not known is a constant, and is not recorded.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Signature
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from harness.tracing.calls import Call, Stored, Trace, Value
from harness.tracing.semantics import AnySemantics, Arithmetic, Convolution, Linear, Opaque, Reshape
from harness.tracing.side import Override
from harness.tracing.user_code import user_line

Tensor = Any
#: Of a number, by type.
_BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}


def named_tensors(
    outputs: Any, is_tensor: Callable[[Any], bool], name: str = ""
) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors that a model returns, named by position, key or field; other leaves are left out.

    Tensors of a dictionary come in alphabetical order, in which every framework gives them.
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


class _Deferred(NamedTuple):
    """How to record what rearranged a part of a parameter, which gives its result, and where that was."""

    record: Callable[[], Tensor]
    path: str
    line: str


class Recorder:
    """The calls and values of an evaluation in progress.

    ``names`` are those of the parameters by the ``id`` of what stands for them. Slices, reshapes and
    transpositions of a parameter are known as its parts, and are recorded where one is used as a value. A
    subclass says how its framework holds numbers.
    """

    def __init__(self, names: dict[int, str], overrides: Sequence[Override] = ()) -> None:
        self.trace = Trace([], [], [], [])
        self.names = names
        self.busy = False
        self._overrides = {(each.call, each.of, each.place): each.array for each in overrides}
        self.paths = [""]
        self._places: dict[int, int] = {}
        self._named: dict[str, int] = {}
        self._parts: dict[int, Stored] = {}
        self._deferred: dict[int, _Deferred] = {}
        self._alive: list[Tensor] = []

    # What a framework has of its own.

    def numbers(self, tensor: Tensor) -> np.ndarray:
        """Copy the numbers that a tensor holds now; nothing writes into the copy later."""
        raise NotImplementedError

    def numbers_of(self, name: str) -> np.ndarray:
        """Copy the numbers that the parameter of this name holds."""
        raise NotImplementedError

    def replacement(self, array: np.ndarray, of: Tensor) -> Tensor:
        """Make a tensor of the array's numbers, with the type and shape of the tensor ``of``."""
        raise NotImplementedError

    def is_tensor(self, leaf: Any) -> bool:
        """Check that a leaf, which a call takes or returns, is a tensor."""
        raise NotImplementedError

    def flattened(self, tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
        """Return the leaves of a tree, and a function that makes such a tree of other leaves."""
        raise NotImplementedError

    def type_of(self, tensor: Tensor) -> str:
        """Return the name of the type of a tensor's numbers, such as ``float32``."""
        return str(tensor.dtype)

    def made(self, tensor: Tensor) -> Tensor:
        """Return the tensor with which to continue in place of ``tensor``, which a call returned."""
        return tensor

    def operand(self, value: Any) -> Any:
        """Convert ``value`` for a function of the framework: NumPy's arrays become tensors."""
        return value

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Record nothing for a while."""
        before, self.busy = self.busy, True
        try:
            yield
        finally:
            self.busy = before

    # What all have in common.

    @contextlib.contextmanager
    def inside(self, path: str) -> Iterator[None]:
        """Assign calls within this context to the part of the model at ``path``."""
        self.paths.append(path)
        try:
            yield
        finally:
            self.paths.pop()

    def add_input(self, tensor: Tensor, name: str) -> None:
        self.trace.inputs.append(self.add(tensor, "input", name))

    def add_output(self, tensor: Tensor, name: str) -> None:
        place = self.place(tensor)
        value = self.trace.values[place]
        value.name = value.name or name
        self.trace.outputs.append(place)

    def knows(self, tensor: Tensor) -> bool:
        """Check that a tensor is a value already, or a parameter or a part of one."""
        return any(id(tensor) in known for known in (self._places, self.names, self._parts))

    def number(self, operand: Any) -> float | None:
        """Return the number that an operand is; None if it depends on the inputs or parameters."""
        shape = getattr(operand, "shape", None)
        is_number = isinstance(operand, int | float) if shape is None else tuple(shape) == ()
        return float(operand) if is_number and not self.knows(operand) else None

    def place(self, tensor: Tensor) -> int:
        """Return the place of a tensor among the values; an unknown tensor becomes a constant."""
        if id(tensor) in self._places:
            return self._places[id(tensor)]
        part = self.part(tensor)
        return self.add(tensor, "constant") if part is None else self.parameter(part.name)

    def parameter(self, name: str) -> int:
        """Return the place of a parameter among the values."""
        if name not in self._named:
            with self.quiet():  # reading a variable is a primitive of TensorFlow
                self._named[name] = len(self.trace.values)
                self.trace.values.append(Value("parameter", self.numbers_of(name), name))
        return self._named[name]

    def add(self, tensor: Tensor, source: Literal["input", "constant", "call"], name: str = "") -> int:
        """Make a tensor a new value."""
        self.trace.values.append(Value(source, self.numbers(tensor), name))
        return self.identify(tensor, len(self.trace.values) - 1)

    def part(self, tensor: Tensor, layout: Stored | None = None) -> Stored | None:
        """Return the part of a parameter that a tensor is, or becomes by ``layout``; None if it is none."""
        name = self.names.get(id(tensor))
        part = self._parts.get(id(tensor)) if name is None else Stored(name)
        return part if part is None or layout is None else part.then(layout)

    def defer(
        self,
        tensor: Tensor,
        run: Callable[[Tensor], Tensor],
        layout: Stored | Callable[[Tensor], Stored | None],
        record: Callable[[], Tensor],
    ) -> Tensor:
        """Rearrange a part of a parameter, or record the call if the result is no such part.

        ``layout`` describes how the result lies in the part, or that it is no part. ``record`` carries out
        and records the call.
        """
        if self.part(tensor) is None:
            return record()
        result = self.made(self.unheard(run, tensor))
        own = layout(result) if callable(layout) else layout
        part = None if own is None else self.part(tensor, own)
        if part is None:
            return record()
        self._parts[id(result)] = part
        self._deferred[id(result)] = _Deferred(record, self.paths[-1], user_line())
        self._alive.append(result)
        return result

    def used(self, tensor: Tensor) -> Tensor:
        """Return the tensor to compute with in place of ``tensor``; a deferred call is recorded now."""
        deferred = self._deferred.get(id(tensor))
        if deferred is None or id(tensor) in self._places:
            return tensor
        with self.inside(deferred.path):
            made = deferred.record()
        self.trace.calls[-1].line = deferred.line
        self._places[id(tensor)] = self.place(made)
        return made

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
        elif (part := self.part(of)) is None:
            self.identify(tensor, self.place(of))
        else:
            self._parts[id(tensor)] = part
            self._alive.append(tensor)
            if id(of) in self._deferred:
                self._deferred[id(tensor)] = self._deferred[id(of)]

    def overridden(self, of: Literal["input", "output"], number: int, tensors: Sequence[Tensor]) -> list[Any]:
        """Return the tensors that a call takes or returns, replaced where they are overridden."""
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
    ) -> Call:
        """Begin a new call, which has no outputs yet."""
        call = Call(
            path=self.paths[-1],
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
    ) -> Any:
        """Carry out and record a call of these inputs; return its result, or the value that overrides it."""
        inputs = [self.used(tensor) for tensor in inputs]
        number, places = len(self.trace.calls), [self.place(tensor) for tensor in inputs]
        for stored in (parameters or {}).values():
            self.parameter(stored.name)
        given = self.overridden("input", number, inputs)
        call = self.begin(function, does, places, parameters)
        leaves, packed = self.flattened(self.unheard(run, *given))
        leaves = [self.made(each) for each in self.overridden("output", number, leaves)]
        call.outputs = [self.add(each, "call") for each in leaves if self.is_tensor(each)]
        return packed(leaves)

    def arithmetic(self, name: str, function: str, operands: Sequence[Any], run: Callable[..., Any]) -> Any:
        """Record a function of two values, or of a value and a number."""
        numbers = [self.number(each) for each in operands]
        values = [place for place, number in enumerate(numbers) if number is None]
        if len(values) != 1:
            if function == "add" and (result := self.add_bias(operands, run)) is not None:
                return result
            return self.call(name, Arithmetic(function=function), operands, run)
        (place,) = values
        does = Arithmetic(function=function, constant=numbers[1 - place], constant_first=place == 1)
        other = operands[1 - place]
        return self.call(
            name, does, [operands[place]], lambda new: run(other, new) if place else run(new, other)
        )

    def add_bias(self, operands: Sequence[Tensor], run: Callable[..., Any]) -> Any:
        """Make an addition a part of the linear layer or convolution before it; None if it adds no bias.

        The columns of a linear layer may have become several axes before the addition, or the layer's result
        may be one of two that are added, as in ``x @ w + h @ u + b``.
        """
        array, bias = operands
        stored = self.part(bias)
        chain = [] if stored is None else self._made_for_now(self._places.get(id(array)))
        if stored is None or not chain or set(chain[0].parameters) != {"kernel"}:
            return None
        values = [self.trace.values[call.outputs[0]] for call in chain]
        before, shape = tuple(values[0].array.shape), tuple(array.shape)
        first = getattr(chain[0].does, "channels_first", False)
        columns = (before[1], *(1 for _ in before[2:])) if first else shape[len(before) - 1 :]
        size = before[1] if first else before[-1]
        in_place = ((1,) * (len(shape) - len(each)) + tuple(each) for each in (bias.shape, columns))
        layout = stored if tuple(bias.shape) == (size,) else stored.then(Stored("", shape=(size,)))
        if layout is None or math.prod(columns) != size or next(in_place) != next(in_place):
            return None
        sums = [place for place, call in enumerate(chain) if isinstance(call.does, Arithmetic)]
        if sums and tuple(bias.shape) != (size,):
            return None
        self.parameter(stored.name)
        chain[0].parameters["bias"] = layout
        given = [(self.trace.calls.index(call), "output", 0) in self._overrides for call in chain]
        result = array if any(given) else self.unheard(run, *operands)
        for place, value in enumerate(values):
            if any(given[: place + 1]):  # what is overridden has the bias already
                break
            if place < max(sums, default=0):
                value.array = self.unheard(lambda before: before + self.numbers(bias), value.array)
            else:
                value.array = self.numbers(result).reshape(value.array.shape)
        made = {call.outputs[0] for call in chain}
        self._places = {key: place for key, place in self._places.items() if place not in made}
        self.identify(result, chain[-1].outputs[0])
        return result

    def _made_for_now(self, place: int | None, user: Call | None = None) -> list[Call]:
        """Find the linear layer or convolution that made a value which only ``user`` may use.

        After it, a reshape and a sum with another value may follow.
        """
        for call in reversed(self.trace.calls):
            if call.outputs == [place]:
                if isinstance(call.does, Linear | Convolution):
                    return [call]
                for before in call.inputs if _adds_or_reshapes(call) else ():
                    made = self._made_for_now(before, call)
                    if made and set(made[0].parameters) == {"kernel"} and self._keeps_shape(made[0], call):
                        return [*made, call]
                return []
            if place in call.inputs and call is not user:
                return []
        return []

    def _keeps_shape(self, made: Call, after: Call) -> bool:
        if isinstance(after.does, Reshape):
            return True
        shapes = [self.trace.values[call.outputs[0]].array.shape for call in (made, after)]
        return isinstance(made.does, Linear) and shapes[0] == shapes[1]

    def unheard(self, run: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call ``run`` without recording its calls."""
        with self.quiet():
            return run(*args, **kwargs)


def _adds_or_reshapes(call: Call) -> bool:
    return isinstance(call.does, Reshape) or (
        isinstance(call.does, Arithmetic) and call.does.function == "add" and call.does.constant is None
    )


@dataclass(frozen=True)
class Running:
    """A function that is being called with ``arguments``, by name; ``run`` calls it with changed ones."""

    recorder: Any
    function: str
    arguments: dict[str, Any]
    run: Callable[..., Any]

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
        """Bind the arguments of a call by ``signature``; they include defaults, and no ``self``."""
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
        """Return an argument that not every such function has, or ``default``."""
        return self.arguments.get(name, default)

    @property
    def first(self) -> str:
        return next(iter(self.arguments))

    @property
    def x(self) -> Tensor:
        return self.arguments[self.first]

    def record(self, does: AnySemantics, *names: str, parameters: Mapping[str, Stored] | None = None) -> Any:
        """Record this as one call; its inputs are the tensors of these arguments, by default of the first."""
        names = names or (self.first,)
        leaves, packed = self.recorder.flattened([self.arguments[name] for name in names])
        places = [place for place, leaf in enumerate(leaves) if self.recorder.is_tensor(leaf)]

        def run(*tensors: Tensor) -> Any:
            changed = list(leaves)
            for place, tensor in zip(places, tensors, strict=True):
                changed[place] = tensor
            return self.run(**dict(zip(names, packed(changed), strict=True)))

        return self.part(does, [leaves[place] for place in places], run, parameters)

    def rearrange(self, does: AnySemantics, layout: Stored) -> Any:
        """Record a call that only moves the first argument; ``layout`` identifies a part of a parameter."""

        def run(x: Tensor) -> Tensor:
            return self.run(**{self.first: x})

        return self.recorder.defer(self.x, run, layout, lambda: self.record(does))

    def part(
        self,
        does: AnySemantics,
        inputs: Sequence[Tensor],
        run: Callable[..., Any],
        parameters: Mapping[str, Stored] | None = None,
    ) -> Any:
        """Record one of several calls of which this call consists."""
        return self.recorder.call(self.function, does, inputs, run, parameters)
