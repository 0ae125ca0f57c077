"""Records whose work ends in any way are saved with the reason."""

import pytest

from harness.core.documents.kinds import carry_out
from harness.errors import HarnessError, UsageError


class Record:
    def __init__(self):
        self.status, self.failure, self.saved = "running", "", []

    def save(self):
        self.saved.append((self.status, self.failure))


def ending(error):
    """What is saved of work that raises this error, and whether the error is raised again."""
    record = Record()

    def work():
        if error is not None:
            raise error

    try:
        carry_out(record, work, record.save)
    except (UsageError, ZeroDivisionError) as raised:
        return record.saved, raised is error
    return record.saved, False


@pytest.mark.parametrize(
    ("error", "saved", "again"),
    [
        (None, [("ok", "")], False),
        (HarnessError("no memory"), [("failed", "no memory")], False),
        (KeyboardInterrupt("SIGTERM"), [("interrupted", "interrupted by SIGTERM")], False),
        (UsageError("give a number"), [], True),
        (ZeroDivisionError("division by zero"), [("failed", "ZeroDivisionError: division by zero")], True),
    ],
    ids=["ok", "failed", "interrupted", "refused", "a fault of the program"],
)
def test_the_record_keeps_how_its_work_ended(error, saved, again):
    assert ending(error) == (saved, again)
