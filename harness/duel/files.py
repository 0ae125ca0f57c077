"""The files of duels."""

from harness.duel.record import SCHEMA, DuelRecord
from harness.runs.documents import RecordKind

DUELS = RecordKind("duel", "duels", DuelRecord, SCHEMA, "margin")
