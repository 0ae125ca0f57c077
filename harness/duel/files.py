"""The folder of duels: each is one JSON file, written whole or not at all."""

from pathlib import Path

from harness.duel.record import SCHEMA, DuelRecord
from harness.errors import UsageError
from harness.runs.documents import find_document, read_document

DUELS = "duels"


def read_duel(path: Path) -> DuelRecord:
    """The duel in a file.

    Raises:
        UsageError: it cannot be read, is no duel, or a later harness wrote it.
    """
    return read_document(path, DuelRecord, "duel", SCHEMA)


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
    return find_document(results / DUELS, name)
