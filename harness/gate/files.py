"""The files of gates."""

from harness.gate.record import SCHEMA, GateRecord
from harness.runs.documents import RecordKind

GATES = RecordKind("gate", "gates", GateRecord, SCHEMA, "benchmarks")
