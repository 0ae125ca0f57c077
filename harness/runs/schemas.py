"""Reading JSON documents of older schemas: migrated one schema at a time to the newest."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec

#: From the decoded JSON of one schema to that of the next. ``schema`` itself need not be changed.
Migration = Callable[[dict[str, Any]], dict[str, Any]]


class Versioned(Protocol):
    """A document that states the schema in which it is written."""

    @property
    def schema(self) -> int:
        """Its version."""


_V = TypeVar("_V", bound=Versioned)


class OtherSchema(Exception):
    """The document has a schema that this version of harness does not read, such as a later one."""


class _SchemaOnly(msgspec.Struct):
    schema: int


def decode(data: bytes, kind: type[_V], newest: int, migrations: Mapping[int, Migration]) -> _V:
    """Decode a document and migrate it to the newest schema.

    ``migrations`` maps each older schema to the function that yields the next one.

    Raises:
        OtherSchema: the schema is newer than ``newest``, or no migration starts from it.
        msgspec.MsgspecError: not a document of this kind; the message names the field.
    """
    try:
        decoder: msgspec.json.Decoder[_V] = _decoder(kind)
        document = decoder.decode(data)
    except msgspec.MsgspecError:
        # A document of another schema need not fit the newest one.
        schema = msgspec.json.decode(data, type=_SchemaOnly).schema
        if schema == newest:
            raise
    else:
        schema = document.schema
        if schema == newest:
            return document
    migrated = _migrate(msgspec.json.decode(data), schema, newest, migrations)
    return msgspec.convert(migrated, kind, str_keys=True)


@functools.cache
def _decoder(kind: type[_V]) -> msgspec.json.Decoder[_V]:
    return msgspec.json.Decoder(kind)


def _migrate(
    fields: dict[str, Any], schema: int, newest: int, migrations: Mapping[int, Migration]
) -> dict[str, Any]:
    if schema > newest:
        raise OtherSchema(f"schema {schema} is newer than {newest}, the newest that this version reads")
    for step in range(schema, newest):
        if step not in migrations:
            raise OtherSchema(f"unknown schema {schema}")
        try:
            fields = migrations[step](fields)
        except (AttributeError, KeyError, TypeError) as error:
            raise msgspec.ValidationError(f"not of this kind in schema {step}: {error!r}") from error
    return fields | {"schema": newest}


def rename_fields(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A copy of ``fields`` in which each key of ``names`` has its new name; the order is kept."""
    return {names.get(name, name): value for name, value in fields.items()}
