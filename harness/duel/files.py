"""The folder of duels: each is one JSON file, written as a whole or not at all."""

from pathlib import Path

from harness.duel.migration import MIGRATIONS
from harness.duel.record import SCHEMA, DuelRecord
from harness.errors import UsageError
from harness.runs.documents import find_document, read_document

DUELS = "duels"


def read_duel(path: Path) -> DuelRecord:
    """The duel in a file, migrated to the newest schema.

    Raises:
        UsageError: the file cannot be read, is not a duel, or a later version of harness wrote it.
    """
    return read_document(path, DuelRecord, "duel", SCHEMA, MIGRATIONS)


def read_duels(results: Path) -> tuple[list[DuelRecord], list[str]]:
    """The duels of a results folder, oldest first, and an error message for each unreadable file."""
    duels, unreadable = [], []
    for path in sorted((results / DUELS).glob("*.json")):
        try:
            duels.append(read_duel(path))
        except UsageError as error:
            unreadable.append(str(error))
    return duels, unreadable


def find_duel(results: Path, name: str) -> Path | None:
    """The file of a duel, by its path, its id or the beginning of its id; None if there is no such duel."""
    return find_document(results / DUELS, name)
