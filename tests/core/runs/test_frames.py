"""Records as frames: a row per run, epoch, duel or metric; a file that cannot be read is skipped."""

import json
import re

import msgspec
import pandas as pd
import pytest
from support.made_duels import save_duel, stored_duel
from support.made_gates import mixed_gate, save
from support.records import EPOCHS, make_record, make_unfinished_record, save_runs

import harness

FIRST, SECOND = make_record("20260101-a"), make_unfinished_record("20260102-b")


@pytest.fixture
def results(tmp_path):
    save_runs(tmp_path, SECOND, FIRST)
    return tmp_path


def row_of(frame, place=0):
    """A row as JSON has it: times in ISO 8601, and null for what is not known."""
    return json.loads(frame.to_json(orient="records", date_format="iso"))[place]


def test_one_row_per_run_oldest_first(results):
    frame = harness.load_results(results)
    assert frame["id"].tolist() == ["20260101-a", "20260102-b"]
    assert frame["status"].tolist() == ["ok", "failed"]


def test_a_row_holds_the_values_of_the_record(results, snapshot):
    assert row_of(harness.load_results(str(results))) == snapshot


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


FOLDERS = {"load_results": "runs", "load_epochs": "runs", "load_duels": "duels", "load_gates": "gates"}


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("content", ["{", '{"schema": 99}', '{"benchmarks": []}'])
def test_every_frame_skips_what_is_unreadable_and_may_be_empty(tmp_path, name, content):
    load = getattr(harness, name)
    with pytest.warns(UserWarning, match="there are no records in"):
        assert load(tmp_path / "nowhere").empty
    save_runs(tmp_path, FIRST)
    save_duel(tmp_path, stored_duel())
    (tmp_path / "gates").mkdir()
    (tmp_path / FOLDERS[name] / "20260101-z.json").write_text(content)
    with pytest.warns(UserWarning, match=r"20260101-z\.json is not a readable") as caught:
        frame = load(tmp_path)
    assert (len(caught), caught[0].filename) == (1, __file__)
    assert frame.empty == (name == "load_gates")


def test_one_row_per_configuration_of_a_duel(tmp_path, snapshot):
    save_duel(tmp_path, stored_duel())
    frame = harness.load_duels(tmp_path)
    assert (len(frame), row_of(frame)) == (1, snapshot)


def test_a_duel_without_results_has_its_configurations(tmp_path):
    save_duel(tmp_path, stored_duel(results=[], status="interrupted"))
    (row,) = harness.load_duels(tmp_path).to_dict("records")
    assert (row["status"], row["verdict"], row["pairs"]) == ("interrupted", None, 0)


def test_one_row_per_metric_and_quality_of_a_gate(tmp_path):
    gate = mixed_gate()
    save(tmp_path, gate)
    frame = harness.load_gates(tmp_path / "results").set_index(["benchmark", "metric"])
    assert frame["gate_verdict"].unique().tolist() == [gate.verdict]
    assert frame.loc[("rnn-compiled", "step"), "verdict"] == "FAIL"
    assert frame.loc[("rnn-compiled", "step"), "ratio"] == pytest.approx(1.08, rel=0.02)
    assert frame.loc[("mlp", "memory"), "verdict"] == "INCONCLUSIVE"
    assert frame.loc[("gan", "quality"), "verdict"] == "FAIL"
    assert frame.loc["forecast", "benchmark_verdict"].tolist() == ["FAIL"]


def test_the_documentation_of_the_frame_lists_its_columns(results):
    columns = harness.load_results(results).columns
    scores = re.compile(r"(train|validation|test|test_at_best)_(?!seconds)|option_")
    documented = set(re.findall(r"``(\w+)``", harness.load_results.__doc__))
    assert {column for column in columns if not scores.match(column)} <= documented
