"""What ``harness reproduce`` prints: a verdict for each record, one in total, and what differs."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.core.documents.document import (
    Cell,
    Document,
    Items,
    Node,
    Paragraph,
    Row,
    Section,
    Table,
    Tone,
    table_of,
)
from harness.core.documents.kinds import Listed, RecordKind
from harness.core.documents.numbers import NOTHING
from harness.sharing.reproduce.repetition import (
    REFUTED,
    VERDICTS,
    Agreement,
    Difference,
    Pair,
    Repetition,
    Stored,
    Verdict,
    differences,
    other_packages,
)

_TONES: dict[Verdict, Tone] = {"undecided": "unsure", "different": "bad", "does not hold": "bad"}
_UNDECIDED = 3


class Reproduced(msgspec.Struct, frozen=True, kw_only=True):
    """A record, its repetition and their agreement."""

    kind: str
    file: str
    repeated: str
    outcome: Listed
    agreement: Agreement
    differences: list[Difference]


def compared(
    kind: RecordKind[Any], repetition: Repetition[Any], pair: Pair[Any], agreement: Agreement
) -> Reproduced:
    """Return the ``agreement`` of a record and its repetition, with the facts that differ."""
    there, here = (repetition.facts(stored) for stored in pair)
    theirs, mine = (stored.record.distributions for stored in pair)
    return Reproduced(
        kind=kind.name,
        file=str(pair.theirs.path),
        repeated=str(pair.mine.path),
        outcome=kind.row_of(pair.theirs.record),
        agreement=agreement,
        differences=[*differences(there, here), *other_packages(theirs, mine, there)],
    )


def unrepeated(kind: RecordKind[Any], stored: Stored[Any], reason: str) -> Reproduced:
    """Return that a record could not be repeated, for this ``reason``."""
    return Reproduced(
        kind=kind.name,
        file=str(stored.path),
        repeated="",
        outcome=kind.row_of(stored.record),
        agreement=Agreement(verdict="undecided", reasons=[reason]),
        differences=[],
    )


def exit_code(reproduced: Sequence[Reproduced]) -> int:
    """Return 0 if all agree, 1 if one is refuted, and otherwise 3: one is undecided."""
    verdicts = {each.agreement.verdict for each in reproduced}
    return 1 if verdicts & REFUTED else _UNDECIDED if "undecided" in verdicts else 0


def _total(reproduced: Sequence[Reproduced]) -> str:
    counts = Counter(each.agreement.verdict for each in reproduced)
    parts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    whole = {0: "Reproduced", 1: "Not reproduced", _UNDECIDED: "Undecided"}[exit_code(reproduced)]
    return f"{whole}: {parts}."


def document(reproduced: Sequence[Reproduced], results: Path) -> Document:
    """Show the verdicts on all records; the new results are in the folder ``results``."""
    nodes: list[Node] = [
        Section(
            "Verdicts",
            [
                Table(
                    ("record", "there", "verdict"),
                    [
                        (
                            Path(each.file).stem,
                            each.outcome.outcome or NOTHING,
                            Cell(each.agreement.verdict, _TONES.get(each.agreement.verdict, "good")),
                        )
                        for each in reproduced
                    ],
                    form="texts",
                )
            ],
            "verdicts",
        ),
        Section("Reasons", [Items(_reasons(reproduced), "Reasons")], "reasons"),
        *_what_differs(reproduced),
        Paragraph(f"New results: {results}"),
    ]
    return Document("reproduction", "Reproduction", nodes, [_total(reproduced)])


def _reasons(reproduced: Sequence[Reproduced]) -> list[str]:
    """Return each reason once, with the record that it is of, or with the number of records."""
    of: dict[str, list[str]] = {}
    for each in reproduced:
        for reason in each.agreement.reasons:
            of.setdefault(reason, []).append(Path(each.file).stem)
    return [f"{_of(names)}: {reason}" for reason, names in of.items()]


def _what_differs(reproduced: Sequence[Reproduced]) -> list[Node]:
    """Show each difference once; those of single records name the record."""
    of: dict[Difference, list[str]] = {}
    for each in reproduced:
        for difference in each.differences:
            of.setdefault(difference, []).append(Path(each.file).stem)
    if not of:
        return [Paragraph("No recorded fact differs.")]
    every = len(reproduced)
    rows: list[Row] = [
        {
            "what differs": each.name,
            "there": each.there or NOTHING,
            "here": each.here or NOTHING,
            "of": None if len(names) == every else _of(names),
        }
        for each, names in of.items()
    ]
    return [Section("What differs", [table_of(rows, form="texts")], "differences")]


def _of(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} records"
