"""The stored duel of schema 1, and duels changed from it."""

import gzip
from pathlib import Path

import msgspec

from harness.duel.files import DUELS
from harness.duel.record import DuelRecord, encode

(STORED,) = (Path(__file__).parent / "records_schema_1" / "duels").iterdir()


def stored_duel(**changes) -> DuelRecord:
    """A duel of two equal configurations: 10 pairs of 54 turns, verdict same."""
    record = msgspec.json.decode(gzip.decompress(STORED.read_bytes()))
    migrated = DUELS.migrations[1](record) | {"schema": DUELS.schema}
    return msgspec.structs.replace(msgspec.convert(migrated, DuelRecord, str_keys=True), **changes)


def save_duel(results: Path, record: DuelRecord) -> Path:
    """Write a duel under a results folder."""
    path = results / DUELS.folder / f"{record.id}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(record))
    return path
