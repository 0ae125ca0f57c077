"""Texts that a terminal or GitHub Actions would obey, in records and in what commands print."""

import msgspec

from harness.core.runs.record import Failure, Record
from support.records import make_record

EVIL = "\x1b]0;owned\x07\x9b31mred\u202edlrow\r"
OBEYED = set("\x00\x07\x0d\x1b\x7f\x9b\u202e")


def hostile_record() -> Record:
    """Return a record whose names and texts are hostile."""
    record = make_record(
        backend=f"torch{EVIL}",
        status="failed",
        failure=Failure(f"boom {EVIL}\n::error::injected", last_lines=[EVIL]),
    )
    return msgspec.structs.replace(record, dataset=msgspec.structs.replace(record.dataset, origin=EVIL))


def require_visible(done) -> None:
    """Check that a command, which GitHub Actions ran, printed hostile texts visibly."""
    printed = done.stdout + done.stderr
    assert not OBEYED & set(printed)
    assert not [line for line in printed.splitlines() if line.strip().startswith("::")]
    assert any(sign in printed for sign in ("\N{REPLACEMENT CHARACTER}", r"\u001b", r"\u003a:error::x"))
    assert "Traceback" not in printed
