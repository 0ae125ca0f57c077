"""The calls of one evaluation, in their order, with values that stay identified by the tensors themselves."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import ops, tree

from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, Stored, Trace, Value
from harness.tracing.side import Override
from harness.tracing.user_code import user_line
from harness_keras.port import engines

Tensor = Any
#: The recorder of the evaluation that runs now; the hooks do nothing without one.
_active: list["Recorder"] = []


def active() -> "Recorder | None":
    """The recorder that a hook must report to: None outside evaluations and inside a recorded call."""
    if not _active or _active[-1].busy:
        return None
    return _active[-1]


class Recorder:
    """Records calls and puts overrides in the place of their values.

    ``variables`` are the model's by name. ``opaque`` are the parts of the model that cannot
    be entered, which a recorder fills and later ones read.
    """

    def __init__(
        self,
        variables: Mapping[str, keras.Variable],
        opaque: set[tuple[Any, ...]],
        overrides: Sequence[Override] = (),
    ) -> None:
        self.variables = variables
        self.names = _keys(variables)
        self.opaque = opaque
        self.busy = False
        self.values: list[Value] = []
        self.calls: list[Call] = []
        self.layers: list[str] = []
        self._overrides = {(o.call, o.of, o.place): o.array for o in overrides}
        self._places: dict[int, int] = {}
        self._named: dict[str, int] = {}
        self._entered: dict[tuple[str, ...], int] = {}
        # Tensors must live as long as their ids are used.
        self._alive: list[Tensor] = []

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Make this the recorder of all hooks."""
        _active.append(self)
        try:
            yield
        finally:
            _active.pop()

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Record nothing for a while."""
        before, self.busy = self.busy, True
        try:
            yield
        finally:
            self.busy = before

    @contextlib.contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Calls that come belong to the part of the model with this name."""
        self.layers.append(name)
        try:
            yield
        finally:
            self.layers.pop()

    @property
    def path(self) -> str:
        """Names of the layers that run now, without the model itself."""
        return "/".join(self.layers[1:])

    def add_input(self, tensor: Tensor, name: str) -> None:
        """Make this an input of the model."""
        self._enter(tensor, Value("input", engines.numbers(tensor), name))

    def alias(self, tensor: Tensor, of: Tensor) -> None:
        """Make a tensor the same value as another, if that one is known."""
        place = self._known(of)
        if place is None or id(tensor) in self._places:
            return
        if _narrows(of, tensor):
            does = kinds.Opaque(function="cast")
            shown = f"cast to {keras.backend.standardize_dtype(tensor.dtype)}"
            call = Call(path=self.path, function=shown, does=does, inputs=[place], outputs=[])
            self.calls.append(call)
            call.outputs = [self._result(tensor)]
            return
        self._places[id(tensor)] = place
        self._alive.append(tensor)

    def alias_of_key(self, tensor: Tensor, key: int) -> None:
        """Make a tensor the value of the parameter that is known by this ``id``, if there is one."""
        if key in self.names:
            self._places[id(tensor)] = self._parameter(self.names[key], tensor)
            self._alive.append(tensor)

    def is_known(self, tensor: Tensor) -> bool:
        """Whether this is a value already."""
        return self._known(tensor) is not None

    def parameter(self, variable: Any) -> str:
        """The name of a variable of the model.

        Raises:
            KeyError: it is none, but computed from some.
        """
        return self.names[id(variable)]

    def name_of(self, tensor: Tensor) -> str | None:
        """The name of the parameter that this tensor holds, if it holds one as it is stored."""
        if id(tensor) in self.names:
            return self.names[id(tensor)]
        place = self._places.get(id(tensor))
        value = None if place is None else self.values[place]
        return value.name if value is not None and value.source == "parameter" else None

    def call(
        self,
        function: str,
        does: kinds.AnySemantics,
        inputs: Sequence[Tensor],
        compute: Callable[..., Any],
        parameters: Mapping[str, Stored] | None = None,
    ) -> Any:
        """Compute and record one call of these inputs; returns what it gave, or what overrides it."""
        number = len(self.calls)
        places = [self._place(tensor) for tensor in inputs]
        for stored in (parameters or {}).values():
            self._parameter(stored.name, self.variables[stored.name])
        inputs = [self._overridden(number, "input", i, tensor) for i, tensor in enumerate(inputs)]
        self.calls.append(
            Call(
                path=self.path,
                function=function,
                does=does,
                inputs=places,
                outputs=[],
                parameters=dict(parameters or {}),
                line=user_line(),
            )
        )
        with self.quiet():
            results = compute(*inputs)
            flat = tree.flatten(results)
            flat = [self._overridden(number, "output", i, tensor) for i, tensor in enumerate(flat)]
        self.calls[number].outputs = [self._result(tensor) for tensor in flat if is_array(tensor)]
        return tree.pack_sequence_as(results, flat)

    def enter(self, function: str, run: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Record the calls that ``run`` consists of; one opaque call where they do not give its results.

        What turned out opaque in the model's first evaluation is not entered in later ones, so that the
        numbers of calls stay as they are.
        """
        key = (*self.layers, function, self._count((*self.layers, function)))
        if key not in self.opaque:
            calls, values = len(self.calls), len(self.values)
            results = run(*args, **kwargs)
            made = [tensor for tensor in tree.flatten(results) if is_array(tensor)]
            if all(self.is_known(tensor) for tensor in made) or len(self.layers) == 1:
                return results
            self._undo(calls, values)
            self.opaque.add(key)
        return self.opaque_call(function, run, args, kwargs)

    def opaque_call(self, function: str, run: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Record one call that cannot be described."""
        inputs = [tensor for tensor in tree.flatten((args, kwargs)) if is_array(tensor)]

        def compute(*tensors: Tensor) -> Any:
            left = iter(tensors)
            changed = tree.map_structure(lambda each: next(left) if is_array(each) else each, (args, kwargs))
            return run(*changed[0], **changed[1])

        return self.call(function, kinds.Opaque(function=function), inputs, compute)

    def _count(self, key: tuple[str, ...]) -> int:
        self._entered[key] = self._entered.get(key, -1) + 1
        return self._entered[key]

    def _undo(self, calls: int, values: int) -> None:
        del self.calls[calls:], self.values[values:]
        self._places = {key: place for key, place in self._places.items() if place < values}
        self._named = {key: place for key, place in self._named.items() if place < values}

    def trace(self, inputs: Sequence[Tensor], outputs: Mapping[str, Tensor]) -> Trace:
        """What was recorded, of a model with these inputs and outputs."""
        places = [self._place(tensor) for tensor in inputs]
        ends = [self._place(tensor) for tensor in outputs.values()]
        for place, name in zip(ends, outputs, strict=True):
            if self.values[place].source == "call":
                self.values[place].name = name
        return Trace(self.values, self.calls, places, ends)

    def _known(self, tensor: Tensor) -> int | None:
        name = self.names.get(id(tensor))
        return self._places.get(id(tensor)) if name is None else self._place(tensor)

    def _place(self, tensor: Tensor) -> int:
        name = self.names.get(id(tensor))
        if name is not None:
            return self._parameter(name, tensor)
        if id(tensor) not in self._places:
            self._enter(tensor, Value("constant", engines.numbers(tensor)))
        return self._places[id(tensor)]

    def _parameter(self, name: str, tensor: Tensor) -> int:
        if name not in self._named:
            with self.quiet():  # reading a variable is a primitive of TensorFlow
                self._named[name] = self._append(Value("parameter", engines.numbers(tensor), name))
        return self._named[name]

    def _enter(self, tensor: Tensor, value: Value) -> None:
        self._places[id(tensor)] = self._append(value)
        self._alive.append(tensor)

    def _append(self, value: Value) -> int:
        self.values.append(value)
        return len(self.values) - 1

    def _result(self, tensor: Tensor) -> int:
        self._enter(tensor, Value("call", engines.numbers(tensor)))
        return self._places[id(tensor)]

    def _overridden(self, call: int, of: Literal["input", "output"], place: int, tensor: Tensor) -> Tensor:
        array = self._overrides.get((call, of, place))
        if array is None:
            return tensor
        with self.quiet():
            return ops.convert_to_tensor(np.ascontiguousarray(array), dtype=tensor.dtype)


def _narrows(of: Tensor, to: Tensor) -> bool:
    """Whether numbers of one tensor are rounded in the other; never in float64."""
    names = [keras.backend.standardize_dtype(each.dtype) for each in (of, to)]
    sizes = [_FLOATS.get(name, 0) for name in names]
    return 0 < sizes[1] < sizes[0]


#: Bytes of a number.
_FLOATS = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}


def is_array(tensor: Any) -> bool:
    """Whether this is a tensor of the engine, or a variable."""
    return isinstance(tensor, keras.Variable) or ops.is_tensor(tensor)


def _keys(variables: Mapping[str, keras.Variable]) -> dict[int, str]:
    """Names by the ``id`` of all that stands for a variable: a model's code may use the engine's own."""
    keys = {}
    for name, variable in variables.items():
        held = variable._value  # noqa: SLF001
        for key in (variable, held, getattr(held, "handle", None)):
            if key is not None:
                keys[id(key)] = name
    return keys
