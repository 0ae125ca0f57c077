"""Records of runs as frames: a row per run or epoch; a file that cannot be read is skipped."""

import re

import msgspec
import pandas as pd
import pytest
from support.records import EPOCHS, make_record, make_unfinished_record, row_of, save_runs

import harness
from harness.core.runs.request import TRIAL_SEED

FIRST, SECOND = make_record("20260101-a"), make_unfinished_record("20260102-b")


@pytest.fixture
def results(tmp_path):
    save_runs(tmp_path, SECOND, FIRST)
    return tmp_path


def test_one_row_per_run_oldest_first(results):
    frame = harness.load_results(results)
    assert frame["id"].tolist() == ["20260101-a", "20260102-b"]
    assert frame["status"].tolist() == ["ok", "failed"]


def test_a_row_holds_the_values_of_the_record(results, snapshot):
    assert row_of(harness.load_results(str(results))) == snapshot


def test_trials_of_studies_have_no_rows(results):
    save_runs(results, make_record("20260103-c", seed=TRIAL_SEED))
    for load in (harness.load_results, harness.load_epochs):
        assert set(load(results)["id"]) <= {"20260101-a", "20260102-b"}


def test_a_failed_run_has_a_row_with_gaps(results):
    row = harness.load_results(results).iloc[1]
    gaps = ["engine", "engine_version", "device", "best_epoch", "step_seconds", "samples_per_second"]
    gaps += ["train_accuracy", "test_loss", "test_at_best_loss", "generalization_gap", "peak_memory_bytes"]
    assert {name for name in gaps if not pd.isna(row[name])} == set()
    assert row["epochs"] == 0


def test_options_of_different_tasks_are_columns_side_by_side(tmp_path):
    task = FIRST.task
    other = type(task)("rnn", 1, {"cell": "gru"}, task.sha256, task.description)
    save_runs(tmp_path, FIRST, make_record("20260103-c", task=other))
    frame = harness.load_results(tmp_path)
    assert frame["option_cell"].isna().tolist() == [True, False]
    assert frame["option_width"].isna().tolist() == [False, True]


def test_one_row_per_scored_epoch_with_the_time_at_which_it_was_scored(tmp_path, snapshot):
    scored = msgspec.structs.replace(EPOCHS[0], scored_at="2026-01-01T00:00:09.500+00:00")
    save_runs(tmp_path, make_record("20260101-a", epochs=[scored, EPOCHS[1]]), SECOND)
    frame = harness.load_epochs(tmp_path)
    assert len(frame) == 2
    assert [row_of(frame, place) for place in range(2)] == snapshot


@pytest.mark.parametrize("name", ["load_results", "load_epochs"])
@pytest.mark.parametrize("content", ["{", '{"schema": 99}', '{"benchmarks": []}'])
def test_every_frame_skips_what_is_unreadable_and_may_be_empty(tmp_path, name, content):
    load = getattr(harness, name)
    with pytest.warns(UserWarning, match="there are no records in"):
        assert load(tmp_path / "nowhere").empty
    save_runs(tmp_path, FIRST)
    (tmp_path / "runs" / "20260101-z.json").write_text(content)
    with pytest.warns(UserWarning, match=r"20260101-z\.json is not a readable") as caught:
        frame = load(tmp_path)
    assert (len(caught), caught[0].filename) == (1, __file__)
    assert not frame.empty


def test_the_documentation_of_the_frame_lists_its_columns(results):
    columns = harness.load_results(results).columns
    scores = re.compile(r"(train|validation|test|test_at_best)_(?!seconds)|option_")
    documented = set(re.findall(r"``(\w+)``", harness.load_results.__doc__))
    assert {column for column in columns if not scores.match(column)} <= documented
