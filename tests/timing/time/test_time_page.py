"""Times of a step: the headline, and every format where they ended early."""

import re

import pytest
from support.damage import called
from support.made_duels import made_time

from harness.core.documents.kinds import encode_document
from harness.core.documents.render.terminal import terminal_text
from harness.timing.time.page import outcome, time_document
from harness.timing.time.record import TIMES
from harness.timing.time.timing import PROCESSES

#: One that ended well, one of a step that returns nothing, and what the other ends leave.
RECORDS = {
    "ok": made_time(),
    "without a value": made_time(first_values=[], is_deterministic=None, single_calls=[]),
    "failed": made_time(status="failed", failure="bench.py: no step", pairs=[], configurations=[]),
    "running": made_time(status="running", pairs=[], configurations=[], single_calls=[], first_values=[]),
}


@pytest.mark.parametrize(("processes", "has_interval"), [(PROCESSES, True), (PROCESSES - 1, False)])
def test_the_usual_number_of_processes_gives_the_step_an_interval(processes, has_interval):
    record = made_time(pairs=made_time().pairs[:processes])
    assert len(record.pairs) == processes
    assert ("[" in outcome(record)) == has_interval
    assert ("The step has no interval" in terminal_text(time_document(record))) != has_interval


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("suffix", TIMES.suffixes)
def test_they_are_written_in_every_format(suffix, name, tmp_path):
    path = tmp_path / TIMES.folder / f"{name}.json"
    path.parent.mkdir()
    path.write_bytes(encode_document(RECORDS[name]))
    record = TIMES.read(path)
    content = TIMES.file_of(record, path, suffix)
    assert "bench.py:make" in re.sub(r"<[^>]*>|\\", "", content)
    target = tmp_path / f"time{suffix}"
    assert called("report", path, "--to", target) == (0, f"{target}\n")
    assert target.read_text() == content


@pytest.mark.parametrize("name", RECORDS)
def test_the_headline_states_the_time_or_what_did_not_end(name, snapshot):
    assert [outcome(RECORDS[name]), *time_document(RECORDS[name]).headline] == snapshot
