"""The hash by which two records are known to be of the same task."""

import hashlib
from typing import Any

import msgspec

from harness.spec.task import Task


def description_sha256(task: Task) -> str:
    """The sha256 of what the task says, whether a default was given or left out.

    Fields that equal their defaults are no part of it, so that a field added later does not change the
    hash of what has not changed. msgspec leaves out a default by identity, which would tell ``Sgd(0.1,
    0.0)`` from ``Sgd(0.1)``; here it is by value, after numbers took the types that the fields have.
    """
    exact = msgspec.json.decode(msgspec.json.encode(task), type=Task)
    return hashlib.sha256(msgspec.json.encode(_described(exact), order="deterministic")).hexdigest()


def _described(value: Any) -> Any:
    match value:
        case msgspec.Struct():
            tag = type(value).__struct_config__.tag
            given = {
                field.encode_name: _described(getattr(value, field.name))
                for field in msgspec.structs.fields(value)
                if getattr(value, field.name) != field.default
            }
            return given if tag is None else {"type": tag, **given}
        case dict():
            return {name: _described(item) for name, item in value.items()}
        case list() | tuple():
            return [_described(item) for item in value]
        case _:
            return value
