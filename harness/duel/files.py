"""The folder of duels: each is one JSON file, written whole or not at all."""

from pathlib import Path

import msgspec

from harness.duel.record import SCHEMA, DuelRecord
from harness.errors import UsageError

DUELS = "duels"


def read_duel(path: Path) -> DuelRecord:
    """The duel in a file.

    Raises:
        UsageError: it cannot be read, is no duel, or a later harness wrote it.
    """
    try:
        duel = msgspec.json.decode(path.read_bytes(), type=DuelRecord)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a duel that can be read: {error}") from error
    if duel.schema > SCHEMA:
        raise UsageError(
            f"{path} was written by a later harness: schema {duel.schema} is newer than {SCHEMA}"
        )
    return duel


def read_duels(results: Path) -> tuple[list[DuelRecord], list[str]]:
    """The duels of a results folder, oldest first; and for each file that is none a sentence about it."""
    duels, unreadable = [], []
    for path in sorted((results / DUELS).glob("*.json")):
        try:
            duels.append(read_duel(path))
        except UsageError as error:
            unreadable.append(str(error))
    return duels, unreadable


def find_duel(results: Path, name: str) -> Path | None:
    """The file of the duel that a path, an id or the beginning of one names; None where that is no duel."""
    path = Path(name)
    if path.parent.name == DUELS and path.is_file():
        return path
    fitting = [
        path for path in (results / DUELS).glob("*.json") if path.stem.startswith(name.removesuffix(".json"))
    ]
    return fitting[0] if len(fitting) == 1 else None
