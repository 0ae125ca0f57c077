"""Records whose work ends in any way are saved with the reason."""

import msgspec
import pytest

from harness.core.documents.kinds import RecordKind, carry_out, encode_document
from harness.errors import HarnessError, UsageError


class OfAnotherPackage(msgspec.Struct):
    schema: int
    id: str
    parts: dict[str, int]
    chosen: str

    def __post_init__(self):
        if self.parts[self.chosen] < 0:
            raise ValueError("its part is negative")


@pytest.mark.parametrize(
    ("parts", "reason"),
    [({"a": 1}, None), ({"a": -1}, "its part is negative"), ({}, "test_kinds: KeyError: 'a'")],
)
def test_a_kind_judges_its_records_when_they_are_read(parts, reason, tmp_path):
    kind = RecordKind(
        name="part", folder="parts", type=OfAnotherPackage, schema=1, mark="parts", row="", document=""
    )
    path = tmp_path / "one.json"
    path.write_bytes(encode_document({"schema": 1, "id": "one", "parts": parts, "chosen": "a"}))
    (read,) = kind.read_each([path])
    if reason is None:
        assert read.parts == parts
    else:
        assert (str(path) in str(read), reason in str(read), "\n" in str(read)) == (True, True, False)


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
