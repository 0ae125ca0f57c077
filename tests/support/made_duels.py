"""A stored duel, and duels changed from it."""

import gzip
from pathlib import Path

import msgspec

from harness.duel.record import DUELS, DuelRecord
from harness.runs.documents import encode_document

(STORED,) = (Path(__file__).parent / "stored_records" / "duels").iterdir()


def stored_duel(**changes) -> DuelRecord:
    """A duel of two equal configurations: 10 pairs of 54 turns, verdict same."""
    record = msgspec.json.decode(gzip.decompress(STORED.read_bytes()), type=DuelRecord)
    return msgspec.structs.replace(record, **changes)


def save_duel(results: Path, record: DuelRecord) -> Path:
    """Write a duel under a results folder."""
    path = results / DUELS.folder / f"{record.id}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_document(record))
    return path
