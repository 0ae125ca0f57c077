"""Records other than runs (duels, gates): a folder each under the results, one JSON file a record."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.errors import UsageError
from harness.machine.checksums import ContentChanged, verify_checksum
from harness.runs.schemas import Migration, OtherSchema, Versioned, decode
from harness.runs.store import is_file

_D = TypeVar("_D", bound=Versioned)


def read_document(
    path: Path, kind: type[_D], name: str, schema: int, migrations: Mapping[int, Migration] | None = None
) -> _D:
    """Read a record from a file and migrate it to the newest schema.

    ``name`` is the word for its kind in messages, ``schema`` the newest one; ``migrations`` are as of
    :func:`harness.runs.schemas.decode`.

    Raises:
        UsageError: the file cannot be read, holds another kind, was changed after it was written, or a later
            version of harness wrote it.
    """
    try:
        content = path.read_bytes()
        verify_checksum(content)
        return decode(content, kind, schema, migrations or {})
    except ContentChanged as error:
        raise UsageError(f"{path} {error}") from error
    except OtherSchema as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not a readable {name} record: {error}") from error


def find_document(folder: Path, name: str) -> Path | None:
    """The file of the record of a path, an id or the beginning of an id; None unless exactly one matches.

    A path is accepted if its folder has the name of ``folder``, which states the kind of record.
    """
    path = Path(name)
    if path.parent.name == folder.name and is_file(name):
        return path
    matches = [path for path in folder.glob("*.json") if path.stem.startswith(name.removesuffix(".json"))]
    return matches[0] if len(matches) == 1 else None
