"""A task's declared options, as ``--set KEY=VALUE`` assigns them."""

import contextlib
import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from harness.errors import UsageError, unknown_name
from harness.spec.task import TaskDefinition

Value = bool | int | float | str


class _Takes(NamedTuple):
    """The values that an option takes, such as ``number > 0``, and the article before this text."""

    text: str
    article: str = ""

    def __str__(self) -> str:
        return f"{self.article} {self.text}".lstrip()


def describe_options(definition: TaskDefinition) -> list[tuple[str, str, Value, str]]:
    """Return name, type (``number > 0``), default and description of each option of a task."""
    rows = []
    for field in _fields(definition):
        schema = field.type.extra_json_schema if isinstance(field.type, msgspec.inspect.Metadata) else None
        description = str((schema or {}).get("description", ""))
        rows.append((field.name, takes(field.type).text, field.default, description))
    return rows


def _fields(definition: TaskDefinition) -> tuple[Any, ...]:
    described: Any = msgspec.inspect.type_info(definition.options)
    fields: tuple[Any, ...] = described.fields
    return fields


def takes(kind: Any) -> _Takes:
    """Describe the values that an option of the type ``kind``, of :mod:`msgspec.inspect`, takes."""
    match kind:
        case msgspec.inspect.Metadata():
            return takes(kind.type)
        case msgspec.inspect.LiteralType():
            return _Takes("one of " + ", ".join(str(value) for value in kind.values))
        case msgspec.inspect.BoolType():
            return _Takes("true or false")
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            is_integer = isinstance(kind, msgspec.inspect.IntType)
            name, article = ("integer", "an") if is_integer else ("number", "a")
            signs = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
            bounds = [
                f"{sign} {getattr(kind, key):g}" for key, sign in signs if getattr(kind, key) is not None
            ]
            return _Takes(" ".join([name, " and ".join(bounds)]).strip(), article)
        case _:
            return _Takes("text")


def parse_options(definition: TaskDefinition, assignments: Iterable[str]) -> msgspec.Struct:
    """Parse ``KEY=VALUE`` assignments to the task's options; of several for one option, the last holds."""
    return options_with(definition, dict(_parsed(definition, assignments, lambda _kind, text: [text])))


def parse_alternatives(definition: TaskDefinition, assignments: Iterable[str]) -> dict[str, list[Value]]:
    """Parse ``KEY=VALUE,VALUE`` assignments to the values of each option, in their order, each once.

    Further assignments of an option add values. The value of an option that takes text is not split at
    commas.
    """
    values: dict[str, list[Value]] = {}
    for key, value in _parsed(definition, assignments, _alternatives):
        if value not in values.setdefault(key, []):
            values[key].append(value)
    return values


def _parsed(
    definition: TaskDefinition, assignments: Iterable[str], split: Callable[[Any, str], list[str]]
) -> Iterator[tuple[str, Value]]:
    """Yield each option with each value that ``split`` finds in an assignment, given the option's type."""
    kinds = {field.name: field.type for field in _fields(definition)}
    for assignment in assignments:
        key, sign, text = assignment.partition("=")
        text = text.strip()
        if not sign:
            raise UsageError(f"--set {assignment}: write KEY=VALUE, for example --set learning_rate=0.05")
        if key not in kinds:
            raise unknown_name("option", key, kinds, owner=f"task {definition.name}")
        texts = split(kinds[key], text)
        for each in texts:
            value = _fitting(definition, key, each)
            if value is None:
                which = f"{each!r} does not fit; " if len(texts) > 1 else ""
                right, instead = takes(kinds[key]), _instead(key, each, kinds)
                raise UsageError(f"--set {key}={text}: {which}{key} takes {right}.{instead}")
            yield key, value


#: Values of other programs, by option and value: the option of the task that replaces them, and a hint.
_ELSEWHERE = {("optimizer", "adamw"): ("weight_decay", "AdamW is adam with --set weight_decay=VALUE.")}


def _instead(key: str, text: str, known: Container[str]) -> str:
    """Return a hint for a value that other programs know; empty if there is none."""
    option, hint = _ELSEWHERE.get((key, text.strip().lower()), ("", ""))
    return f" {hint}" if option in known else ""


def options_with(definition: TaskDefinition, values: Mapping[str, Value]) -> msgspec.Struct:
    """Return the task's options with these valid values; the others have their defaults."""
    return msgspec.convert(values, definition.options)


def _alternatives(kind: Any, text: str) -> list[str]:
    """Split a text into values; a text that is itself a value, commas included, stays whole."""
    match kind:
        case msgspec.inspect.Metadata():
            return _alternatives(kind.type, text)
        case msgspec.inspect.LiteralType() if text in map(str, kind.values):
            return [text]
        case (
            msgspec.inspect.LiteralType()
            | msgspec.inspect.BoolType()
            | msgspec.inspect.IntType()
            | msgspec.inspect.FloatType()
        ):
            return [part.strip() for part in text.split(",")]
        case _:
            return [text]


def _fitting(definition: TaskDefinition, key: str, text: str) -> Value | None:
    """Return the value of the option's type that the text stands for; None if there is none.

    A number may begin with its decimal point, which JSON does not allow.
    """
    for candidate in (text, f"0{text}") if text.startswith(".") else (text,):
        with contextlib.suppress(msgspec.ValidationError):
            value: Value = getattr(msgspec.convert({key: candidate}, definition.options, strict=False), key)
            if not (isinstance(value, float) and not math.isfinite(value)):
                return value
    return None


def value_text(value: Value) -> str:
    """Write a value as on the command line: ``true``, ``0.01``, ``adam``."""
    return str(value).lower() if isinstance(value, bool) else str(value)
