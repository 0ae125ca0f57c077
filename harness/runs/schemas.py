"""Reading JSON documents, each of which states the schema in which it is written."""

import functools
from typing import Protocol, TypeVar

import msgspec


class Versioned(Protocol):
    """A document that states the schema in which it is written."""

    @property
    def schema(self) -> int:
        """Its version."""


_V = TypeVar("_V", bound=Versioned)


class OtherSchema(Exception):
    """The document has a schema that this version of harness does not read."""


class _SchemaOnly(msgspec.Struct):
    schema: int


def decode(data: bytes, kind: type[_V], schema: int) -> _V:
    """Decode a document of this schema.

    Raises:
        OtherSchema: it has another one.
        msgspec.MsgspecError: not a document of this kind; the message names the field.
    """
    try:
        decoder: msgspec.json.Decoder[_V] = _decoder(kind)
        document = decoder.decode(data)
        found = document.schema
    except msgspec.MsgspecError:
        # A document of another schema need not fit this one.
        found = msgspec.json.decode(data, type=_SchemaOnly).schema
        if found == schema:
            raise
    if found != schema:
        raise OtherSchema(f"it has schema {found}, and this version of harness reads schema {schema}")
    return document


@functools.cache
def _decoder(kind: type[_V]) -> msgspec.json.Decoder[_V]:
    return msgspec.json.Decoder(kind)
