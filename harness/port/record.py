"""The record of a comparison of two models, and its files."""

import datetime
import secrets
import sys

import msgspec

from harness.port.findings import Findings
from harness.port.options import PortOptions
from harness.runs.documents import RecordKind
from harness.tracing.calls import InputShape

SCHEMA = 1


class PortRecord(msgspec.Struct, kw_only=True):
    """What was compared, how, and what was found."""

    schema: int = SCHEMA
    id: str
    started_at: str
    """UTC, ISO 8601."""
    command: list[str]
    inputs: list[InputShape]
    options: PortOptions
    findings: Findings
    seconds: float


PORTS = RecordKind("port", "ports", PortRecord, SCHEMA, "findings")


def new_record(
    findings: Findings, inputs: list[InputShape], options: PortOptions, started: datetime.datetime
) -> PortRecord:
    """The record of a comparison that began then and has ended now."""
    seconds = (datetime.datetime.now(datetime.UTC) - started).total_seconds()
    return PortRecord(
        id=f"{started:%Y%m%d-%H%M%S}-{started.microsecond // 1000:03d}-port-{secrets.token_hex(2)}",
        started_at=started.isoformat(timespec="seconds"),
        command=sys.argv[1:],
        inputs=inputs,
        options=options,
        findings=findings,
        seconds=seconds,
    )
