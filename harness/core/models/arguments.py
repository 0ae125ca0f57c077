"""The arguments of a model's callable, which are options of the task that trains the model."""

import ast
import collections.abc
import inspect
import itertools
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from harness.errors import UsageError

#: A value as a task's option holds it.
OptionValue = bool | int | float | str
_Kind = Literal["bool", "int", "float", "number", "text", "list", "any"]
_OF_TYPES: dict[Any, _Kind] = {bool: "bool", int: "int", float: "float", complex: "number", str: "text"}
_NUMBERS: frozenset[_Kind] = frozenset({"int", "float", "number"})
_TAKEN: dict[_Kind, str] = {
    "bool": "true or false",
    "int": "an integer",
    "float": "a number",
    "number": "a number",
    "text": "a text",
    "list": "a list or tuple in brackets, such as (64, 32)",
}
_TYPES: dict[_Kind, type | tuple[type, ...]] = {
    "bool": bool,
    "int": int,
    "float": (int, float),
    "number": (int, float),
    "text": str,
    "list": (list, tuple),
}
_BOOLEANS = {"true": True, "false": False}


class Argument(msgspec.Struct, frozen=True):
    """An argument of a callable, by its annotation or else its default value.

    ``choices`` are the values of a ``Literal``; ``optional`` says that None is a value. ``default`` is the
    source of the default value where that is a literal; None where it is another object. ``required``: there
    is no default.
    """

    name: str
    kind: _Kind = "any"
    choices: tuple[Any, ...] = ()
    optional: bool = False
    default: str | None = None
    required: bool = False

    @property
    def takes(self) -> str:
        """The values that the argument takes, in words."""
        known = f"one of {', '.join(map(str, self.choices))}" if self.choices else _TAKEN.get(self.kind, "")
        return f"{known} or None" if self.optional else known

    def value_of(self, text: str) -> Any:
        """Return the value that a text on the command line stands for."""
        value = literal(text)
        if self.kind == "bool":
            value = _BOOLEANS.get(text, value)
        if self.kind == "text" and not isinstance(value, str) and not (self.optional and value is None):
            value = text
        if not self._allows(value):
            hint = f" {self.name}='({text},)' is a tuple." if self.kind == "list" else ""
            raise UsageError(f"--set-model {self.name}={text}: {self.name} takes {self.takes}.{hint}")
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"--set-model {self.name}={text}: the number is not finite.")
        return float(value) if self.kind == "float" and type(value) is int else value

    def _allows(self, value: Any) -> bool:
        if value is None and self.optional:
            return True
        if self.choices:
            return any(value == each and type(value) is type(each) for each in self.choices)
        types_of_kind = _TYPES.get(self.kind)
        is_other_bool = isinstance(value, bool) and self.kind != "bool"
        return types_of_kind is None or (isinstance(value, types_of_kind) and not is_other_bool)


class Signature(msgspec.Struct, frozen=True, tag=True):
    """The arguments of a callable, which takes further ones if it is ``open``."""

    arguments: list[Argument]
    open: bool = False

    def argument(self, name: str) -> Argument | None:
        """Return the argument of this name; None if the callable does not take it."""
        found = next((each for each in self.arguments if each.name == name), None)
        return found or (Argument(name) if self.open else None)

    def combinations(self, target: str, given: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
        """Yield the arguments for each combination of the values ``given`` as texts, the first slowest.

        Arguments that the callable does not take are left out. A value that is the default is not an
        argument.
        """
        missing = [each.name for each in self.arguments if each.required and each.name not in given]
        if missing:
            name = missing[0]
            raise UsageError(f"{target} needs {', '.join(missing)}: give --set-model {name}=VALUE")
        taken = [argument for name in given if (argument := self.argument(name)) is not None]
        values = [[argument.value_of(text) for text in given[argument.name]] for argument in taken]
        for chosen in itertools.product(*map(_distinct, values)):
            pairs = zip(taken, chosen, strict=True)
            yield {
                argument.name: value
                for argument, value in pairs
                if argument.default is None or value != literal(argument.default)
            }

    def options(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of all arguments that a record can hold: those ``chosen``, and defaults."""
        known = {each.name: literal(each.default) for each in self.arguments if each.default is not None}
        return known | dict(chosen)


def _distinct(values: Sequence[Any]) -> list[Any]:
    """Return the values without repetitions; True is not 1."""
    return list({repr(value): value for value in values}.values())


def literal(text: str) -> Any:
    """Return the Python literal that a text is, or else the text."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def option_value(value: Any) -> OptionValue:
    """Return a value as an option holds it: what is no number and no text as the text that stands for it."""
    if isinstance(value, str):
        return value if literal(value) == value else repr(value)
    return value if isinstance(value, (bool, int, float)) else repr(value)


def split_values(text: str) -> list[str]:
    """Split a text at the commas outside brackets and quotes; an empty part stands for a missing value."""
    source = f"[{text}]"
    try:
        parsed = ast.parse(source, mode="eval").body
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        parsed = None
    if not isinstance(parsed, ast.List):
        return [part.strip() for part in text.split(",")]
    parts = [(ast.get_source_segment(source, element) or "").strip() for element in parsed.elts]
    return [*parts, ""] if text.rstrip().endswith(",") or not parts else parts


def signature_of(factory: Callable[..., Any]) -> Signature:
    """Read the arguments of a callable; one whose arguments Python does not know takes any."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return Signature([], open=True)
    annotations = _annotations(factory)
    by_name = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    return Signature(
        [_argument(each, annotations.get(each.name)) for each in parameters if each.kind in by_name],
        open=any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters),
    )


def _annotations(factory: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of a callable's arguments; none where names in them are unknown."""
    function = factory.__init__ if inspect.isclass(factory) else factory
    try:
        return typing.get_type_hints(function)
    except Exception:  # noqa: BLE001  whatever the names in the user's annotations do
        return {}


def _argument(parameter: inspect.Parameter, annotation: Any) -> Argument:
    required, default = parameter.default is parameter.empty, parameter.default
    source = None if required or not _is_literal(default) else repr(default)
    if annotation is None:
        known = _of_default(default) if source is not None else Argument("")
    else:
        known = _of_annotation(annotation)
    optional = known.optional or (default is None and known.kind != "any")
    return msgspec.structs.replace(
        known, name=parameter.name, optional=optional, default=source, required=required
    )


def _is_literal(value: Any) -> bool:
    match value:
        case None | bool() | int() | str():
            return True
        case float():
            return math.isfinite(value)
        case tuple() | list():
            return all(map(_is_literal, value))
        case dict():
            return all(isinstance(name, str) and _is_literal(each) for name, each in value.items())
        case _:
            return False


def _of_default(value: Any) -> Argument:
    """Return what a default value says: a number stands for any number."""
    if isinstance(value, (tuple, list)):
        return Argument("", "list")
    kind = _OF_TYPES.get(type(value), "any")
    return Argument("", "number" if kind in _NUMBERS else kind)


def _of_annotation(annotation: Any) -> Argument:
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, type) and annotation in _OF_TYPES:
        return Argument("", _OF_TYPES[annotation])
    if origin is typing.Annotated:
        return _of_annotation(parts[0])
    if origin is Literal:
        known = tuple(each for each in parts if each is not None)
        kind: _Kind = "text" if all(isinstance(each, str) for each in known) else "any"
        return Argument("", kind, known, optional=None in parts)
    if origin in {typing.Union, types.UnionType}:
        first, *others = (_of_annotation(each) for each in parts if each is not types.NoneType)
        if others:
            are_numbers = {first.kind, *(each.kind for each in others)} <= _NUMBERS
            first = Argument("", "number" if are_numbers else "any")
        return msgspec.structs.replace(first, optional=types.NoneType in parts)
    container = origin or annotation
    is_list = isinstance(container, type) and issubclass(container, collections.abc.Sequence)
    return Argument("", "list" if is_list else "any")
