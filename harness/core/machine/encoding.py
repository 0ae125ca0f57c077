"""Values of plugins as records and messages hold them: the plain types of Python, as JSON."""

from typing import Any, TypeVar

import msgspec

_T = TypeVar("_T")


def encode(value: object) -> bytes:
    """Encode ``value`` as JSON; NumPy scalars and subclasses of text and numbers become plain values."""
    return msgspec.json.encode(value, enc_hook=_plain)


def recorded(value: object, kind: type[_T]) -> _T:
    """Return ``value`` as a record gives it back when it is read: as a ``kind`` of plain types."""
    _refuse_bytes(msgspec.to_builtins(value, builtin_types=(bytes, bytearray), enc_hook=_plain))
    return msgspec.json.decode(encode(value), type=kind)


def _refuse_bytes(plain: object) -> None:
    """Raise TypeError for bytes, which would be recorded as a text."""
    if isinstance(plain, bytes | bytearray):
        raise TypeError(f"{plain!r} is no text but bytes, which no record can hold")
    parts = plain.values() if isinstance(plain, dict) else plain if isinstance(plain, list | tuple) else ()
    for part in parts:
        _refuse_bytes(part)


def _plain(value: Any) -> object:
    """Return the plain value that a subclass or a NumPy scalar stands for."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        item: object = value.item()
        if not isinstance(item, type(value)):  # as that of a long double is
            return item
    raise TypeError(f"{type(value).__module__}.{type(value).__qualname__} is no value that a record can hold")
