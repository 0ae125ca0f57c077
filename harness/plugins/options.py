"""A task's declared options, as ``--set KEY=VALUE`` assigns them."""

import contextlib
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from harness.errors import UsageError, unknown_name
from harness.spec.task import TaskDefinition

Value = bool | int | float | str


class _Takes(NamedTuple):
    """What values an option takes, such as ``number > 0``, and the article before that in a sentence."""

    text: str
    article: str = ""

    def __str__(self) -> str:
        return f"{self.article} {self.text}".lstrip()


def describe_options(definition: TaskDefinition) -> list[tuple[str, str, Value, str]]:
    """Name, type (``number > 0``), default and description of each option of a task."""
    rows = []
    for field in _fields(definition):
        schema = field.type.extra_json_schema if isinstance(field.type, msgspec.inspect.Metadata) else None
        description = str((schema or {}).get("description", ""))
        rows.append((field.name, _takes(field.type).text, field.default, description))
    return rows


def _fields(definition: TaskDefinition) -> tuple[Any, ...]:
    described: Any = msgspec.inspect.type_info(definition.options)
    fields: tuple[Any, ...] = described.fields
    return fields


def _takes(kind: Any) -> _Takes:
    match kind:
        case msgspec.inspect.Metadata():
            return _takes(kind.type)
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
    """The task's options with these ``KEY=VALUE`` assignments.

    Raises:
        UsageError: an assignment has no ``=``, an unknown key, or a value that does not fit.
    """
    takes = {field.name: _takes(field.type) for field in _fields(definition)}
    values: dict[str, str] = {}
    for assignment in assignments:
        key, sign, text = assignment.partition("=")
        if not sign:
            raise UsageError(f"--set {assignment}: write KEY=VALUE, for example --set learning_rate=0.05")
        if key not in takes:
            raise unknown_name("option", key, takes, owner=f"task {definition.name}")
        fitting = _fitting(definition, key, text.strip())
        if fitting is None:
            raise UsageError(f"--set {key}={text.strip()}: {key} takes {takes[key]}.")
        values[key] = fitting
    return msgspec.convert(values, definition.options, strict=False)


def _fitting(definition: TaskDefinition, key: str, text: str) -> str | None:
    """The text in a form that converts to the option's type; None where there is none.

    A number may begin with its decimal point, which JSON does not allow.
    """
    for candidate in (text, f"0{text}") if text.startswith(".") else (text,):
        with contextlib.suppress(msgspec.ValidationError):
            parsed = getattr(msgspec.convert({key: candidate}, definition.options, strict=False), key)
            if not (isinstance(parsed, float) and not math.isfinite(parsed)):
                return candidate
    return None
