"""Times of a step of the user's own, in every form: list, terminal, page and Markdown."""

import re

import pytest
from support.damage import called
from support.made_duels import made_time

from harness.duel.record import TIMES
from harness.report.results import VIEWS
from harness.report.step_times import time_document
from harness.runs.documents import encode_document

VIEW = VIEWS[TIMES.name]
#: One that ended well, one of a step that returns nothing, and what the other ends leave.
RECORDS = {
    "ok": made_time(),
    "without a value": made_time(first_values=[], is_deterministic=None, single_calls=[]),
    "failed": made_time(status="failed", failure="bench.py: no step", pairs=[], configurations=[]),
    "running": made_time(status="running", pairs=[], configurations=[], single_calls=[], first_values=[]),
}


@pytest.fixture
def results(tmp_path):
    (tmp_path / TIMES.folder).mkdir()
    for name, record in RECORDS.items():
        stored = encode_document(record)
        (tmp_path / TIMES.folder / f"{name}.json").write_bytes(stored)
    return tmp_path


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("suffix", VIEW.files)
def test_they_are_written_in_every_format(suffix, name, results):
    path = results / TIMES.folder / f"{name}.json"
    record = TIMES.read(path)
    content = VIEW.files[suffix](record, path)
    assert "bench.py:make" in re.sub(r"<[^>]*>|\\", "", content)
    target = results / f"time{suffix}"
    assert called("report", path, "--to", target) == (0, f"{target}\n")
    assert target.read_text() == content


@pytest.mark.parametrize("name", RECORDS)
def test_the_headline_states_the_time_or_what_did_not_end(name, snapshot):
    assert [VIEW.row(RECORDS[name]).outcome, *time_document(RECORDS[name]).headline] == snapshot
