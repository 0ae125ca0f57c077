"""A reason for a verdict: its text and the next step are written where the fault is found."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from harness.core.documents.escaping import one_line

Kind = Literal[
    "removed",
    "failed",
    "not measured",
    "not comparable",
    "harness fault",
    "new benchmark",
    "other data",
    "losses differ",
    "task changed",
    "values differ",
    "not finite",
    "note",
    "undecided",
    "proven worse",
    "diverged",
    "not trusted",
]
Command = Literal["", "duel", "run base", "run head", "check", "doctor"]

MORE_TIME = "Give the gate more time (--budget)."
MORE_EVIDENCE = (
    "Run the gate again with more time (--budget), on one thread (threads = 1) or on a quieter machine."
)


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reason for a verdict, or a note beside PASS."""

    kind: Kind
    """The class of fault; nothing is decided by the texts."""
    text: str
    """A lower-case clause, without a full stop."""
    hint: str = ""
    """The next step, in sentences; empty beside PASS."""
    accept: str = ""
    """The change of the suite that accepts an intended difference: ``raise max_slowdown``."""
    command: Command = ""
    """The command that shows more, which :mod:`harness.timing.gate.advice` completes."""
    blocks_pass: bool = False
    """It speaks against head, so that ``--inconclusive pass`` makes no PASS of INCONCLUSIVE."""

    def __str__(self) -> str:
        """Return the text in one line, without a full stop."""
        return one_line(self.text).rstrip(".")


def reasons_text(several: Iterable[Reason]) -> str:
    """Return the texts of several reasons."""
    return "; ".join(map(str, several))
