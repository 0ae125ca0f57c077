"""The hash by which two records are known to describe the same task."""

import hashlib
from typing import Any

import msgspec

from harness.spec.task import Task


def description_sha256(task: Task) -> str:
    """Return the sha256 of a task's description.

    Fields that equal their defaults are left out, so that a field added later does not change the hash of an
    unchanged task. msgspec compares defaults by identity, which would distinguish ``Sgd(0.1, 0.0)`` from
    ``Sgd(0.1)``. Here defaults are compared by value, after numbers were converted to the types of the
    fields.
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
