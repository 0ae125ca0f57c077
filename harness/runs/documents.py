"""Records other than runs (duels, gates): a folder each under the results, one JSON file a record."""

from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from harness.errors import UsageError
from harness.runs.store import is_file


class Document(Protocol):
    """A record that tells which schema it was written in."""

    schema: int


_D = TypeVar("_D", bound=Document)


def read_document(path: Path, kind: type[_D], name: str, schema: int) -> _D:
    """The record in a file; ``name`` is what a person calls its kind, ``schema`` the newest known here.

    Raises:
        UsageError: it cannot be read, is of another kind, or a later harness wrote it.
    """
    try:
        document = msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not a {name} that can be read: {error}") from error
    if document.schema > schema:
        raise UsageError(
            f"{path} was written by a later harness: schema {document.schema} is newer than {schema}"
        )
    return document


def find_document(folder: Path, name: str) -> Path | None:
    """The file of the record that a path, an id or the beginning of one names; None where none does.

    A path counts where its folder has the name of ``folder``, which tells what it holds.
    """
    path = Path(name)
    if path.parent.name == folder.name and is_file(name):
        return path
    fitting = [path for path in folder.glob("*.json") if path.stem.startswith(name.removesuffix(".json"))]
    return fitting[0] if len(fitting) == 1 else None
