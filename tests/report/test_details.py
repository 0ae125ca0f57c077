"""What ``harness show`` prints of a record besides its tables."""

import msgspec
from support.records import make_record
from support.rendered import record_text

from harness.runs.record import LostAttempt


def test_nodes_that_were_lost_before_are_listed():
    record = make_record()
    assert "nodes lost before" not in record_text(record)
    attempt = LostAttempt("beta (3f2a1c09d4e7)", "it no longer answers", 3)
    again = msgspec.structs.replace(record, lost_attempts=[attempt])
    assert "nodes lost before  beta (3f2a1c09d4e7) after 3 epochs: it no longer answers" in " ".join(
        record_text(again).splitlines()
    )
