"""The base class of all reasons."""

import re

import msgspec


def _kind(class_name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", class_name).lower()


class BaseReason(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=_kind):
    """A reason without numbers; in a record its ``kind`` is the class's name in lower-case words."""
