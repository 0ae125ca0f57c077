"""A task's declared options, as ``--set KEY=VALUE`` gives them."""

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from harness.errors import UsageError, unknown_name
from harness.spec import TaskDefinition

Value = bool | int | float | str


def describe_options(definition: TaskDefinition) -> list[tuple[str, str, Value, str]]:
    """Each option of a task: its name, what it takes (``number > 0``), its default, its description."""
    rows = []
    for field in _fields(definition):
        kind, description = field.type, ""
        if isinstance(kind, msgspec.inspect.Metadata):
            description = str((kind.extra_json_schema or {}).get("description", ""))
            kind = kind.type
        rows.append((field.name, _takes(kind), field.default, description))
    return rows


def _fields(definition: TaskDefinition) -> tuple[Any, ...]:
    described: Any = msgspec.inspect.type_info(definition.options)
    fields: tuple[Any, ...] = described.fields
    return fields


def _takes(kind: Any) -> str:
    match kind:
        case msgspec.inspect.LiteralType():
            return "one of " + ", ".join(str(value) for value in kind.values)
        case msgspec.inspect.BoolType():
            return "true or false"
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            name = "whole number" if isinstance(kind, msgspec.inspect.IntType) else "number"
            signs = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
            bounds = [
                f"{sign} {getattr(kind, key):g}" for key, sign in signs if getattr(kind, key) is not None
            ]
            return " ".join([name, " and ".join(bounds)]).strip()
        case _:
            return "text"


def parse_options(definition: TaskDefinition, assignments: Iterable[str]) -> msgspec.Struct:
    """The task's options with these ``KEY=VALUE`` assignments made.

    Raises:
        UsageError: an assignment has no ``=``, an unknown key, or a value that does not fit.
    """
    takes = {name: kind for name, kind, _, _ in describe_options(definition)}
    values: dict[str, str] = {}
    for assignment in assignments:
        key, sign, text = assignment.partition("=")
        if not sign:
            raise UsageError(f"--set {assignment}: write KEY=VALUE, for example --set learning_rate=0.05")
        if key not in takes:
            raise unknown_name(f"option of task {definition.name}", key, takes)
        text = text.strip()
        if text.startswith(".") and takes[key].startswith("number"):  # which JSON wants a digit before
            text = f"0{text}"
        values[key] = text
        problem = UsageError(f"--set {key}={text}: {key} takes {_article(takes[key])}.")
        try:
            parsed = getattr(msgspec.convert({key: text}, definition.options, strict=False), key)
        except msgspec.ValidationError:
            raise problem from None
        if isinstance(parsed, float) and not math.isfinite(parsed):
            raise problem
    return msgspec.convert(values, definition.options, strict=False)


def _article(takes: str) -> str:
    return takes if takes.startswith(("one of", "true", "text")) else f"a {takes}"
