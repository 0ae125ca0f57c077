"""The folder of gates: each is one JSON file, written whole or not at all."""

from collections.abc import Iterable
from pathlib import Path

from harness.errors import UsageError
from harness.gate.migration import MIGRATIONS
from harness.gate.record import SCHEMA, GateRecord
from harness.runs.documents import find_document, read_document

GATES = "gates"


def read_gate(path: Path) -> GateRecord:
    """The gate in a file.

    Raises:
        UsageError: it cannot be read, is no gate, or a later harness wrote it.
    """
    return read_document(path, GateRecord, "gate", SCHEMA, MIGRATIONS)


def gate_paths(results: Path) -> list[Path]:
    """The gates' files in a results folder, oldest first (their names begin with the time)."""
    return sorted((results / GATES).glob("*.json"))


def read_gates(paths: Iterable[Path]) -> tuple[list[GateRecord], list[str]]:
    """The gates in files, in their order; and for each file that is none a sentence about it."""
    gates, unreadable = [], []
    for path in paths:
        try:
            gates.append(read_gate(path))
        except UsageError as error:
            unreadable.append(str(error))
    return gates, unreadable


def find_gate(results: Path, name: str) -> Path | None:
    """The file of the gate that a path, an id or the beginning of one names; None where that is no gate."""
    return find_document(results / GATES, name)
