"""The comparison of two models as an HTML file that opens offline."""

import shlex
from typing import NamedTuple

from harness.port.findings import KINDS, PortRecord
from harness.report.html import render
from harness.report.port import (
    compared_table,
    described,
    numbered,
    parameter_sentences,
    verdict_sentence,
)
from harness.report.table import Table


class _Shown(NamedTuple):
    """A cause on the page."""

    kind: str
    meaning: str
    sentence: str
    harmless: bool


def port_page(record: PortRecord) -> str:
    """The page; all text from the record is escaped.

    Raises:
        ImportError: the extra "report" is not installed.
    """
    findings = record.findings
    causes = [
        _Shown(cause.kind, KINDS.get(cause.kind, ""), described(cause), cause.harmless)
        for _, cause in numbered(findings)
    ]
    return render(
        "port.html.j2",
        [],
        headline=verdict_sentence(findings),
        verdict=findings.verdict,
        meta=[f"{side.target}: {_versions(side.versions)}" for side in (findings.a, findings.b)]
        + [record.started_at[:10], f"{record.seconds:.0f} s"],
        causes=causes,
        compared=compared_table(findings),
        parameters=parameter_sentences(findings),
        pairs=_pairs(record),
        notes=findings.notes,
        command=shlex.join(["harness", *record.command]),
        port=record.id,
    )


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _pairs(record: PortRecord) -> Table:
    rows = [
        [pair.a, pair.b, pair.role, "×".join(map(str, pair.shape)) or "1"]
        for pair in record.findings.parameters.pairs
    ]
    return Table(["A", "B", "role", "shape"], rows, "Paired parameters")
