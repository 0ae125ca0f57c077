"""Times of a step of the user's own, in every form: list, terminal, page and Markdown."""

import re

import pytest
from support.damage import called
from support.made_duels import made_time

from harness.duel.record import TIMES
from harness.report.results import VIEWS
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


def test_the_text_states_time_percentiles_and_values():
    text = VIEW.text(RECORDS["ok"], None)
    step = VIEW.row(RECORDS["ok"]).outcome.removeprefix("step ")
    assert f"bench.py:make_step takes {step} a call" in text
    assert re.search(r"single call, p99 +7\.\d+ ms", text)
    assert "First values: loss 2.25. Two processes returned the same values." in " ".join(text.split())


@pytest.mark.parametrize(
    ("name", "words"), [("failed", "It failed: bench.py: no step"), ("running", "running")]
)
def test_what_did_not_end_is_stated(name, words):
    assert words in VIEW.text(RECORDS[name], None)
    assert VIEW.row(RECORDS[name]).outcome == name


def test_they_are_listed(results):
    code, output = called("list", "results", "--results", results)
    assert (code, output.count("bench.py:make_step")) == (0, len(RECORDS))
