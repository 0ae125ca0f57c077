"""Records of gates in their folder: one JSON file each, replaced atomically."""

from collections.abc import Iterable
from pathlib import Path

from harness.errors import UsageError
from harness.gate.migration import MIGRATIONS
from harness.gate.record import SCHEMA, GateRecord
from harness.runs.documents import find_document, read_document

GATES = "gates"


def read_gate(path: Path) -> GateRecord:
    """Read the gate in a file.

    Raises:
        UsageError: the file cannot be read, holds no gate, or a later version of harness wrote it.
    """
    return read_document(path, GateRecord, "gate", SCHEMA, MIGRATIONS)


def gate_paths(results: Path) -> list[Path]:
    """The files of the gates in a results folder, oldest first: their names begin with the time."""
    return sorted((results / GATES).glob("*.json"))


def read_gates(paths: Iterable[Path]) -> tuple[list[GateRecord], list[str]]:
    """The gates in files, in their order; and for each file that cannot be read, why."""
    gates, unreadable = [], []
    for path in paths:
        try:
            gates.append(read_gate(path))
        except UsageError as error:
            unreadable.append(str(error))
    return gates, unreadable


def find_gate(results: Path, name: str) -> Path | None:
    """The file of the gate with this path, id or beginning of an id; None if there is no single one."""
    return find_document(results / GATES, name)
