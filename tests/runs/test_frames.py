"""Records as a frame: one row per run; a file that cannot be read is skipped."""

import pandas as pd
import pytest
from support.records import make_record, make_unfinished_record

import harness
from harness.runs.store import Store

FIRST, SECOND = make_record("20260101-a"), make_unfinished_record("20260102-b")


@pytest.fixture
def results(tmp_path):
    store = Store(tmp_path)
    store.prepare()
    for record in (SECOND, FIRST):
        store.save(record)
    return tmp_path


def test_one_row_per_run_oldest_first(results):
    frame = harness.load_results(results)
    assert frame["id"].tolist() == ["20260101-a", "20260102-b"]
    assert frame["status"].tolist() == ["ok", "failed"]


def test_a_row_holds_the_values_of_the_record(results):
    row = harness.load_results(str(results)).iloc[0]
    expected = {
        "started_at": pd.Timestamp("2026-01-01", tz="UTC"),
        "task": "cnn",
        "task_version": 1,
        "task_sha256": "0" * 64,
        "dataset": "digits",
        "dataset_fingerprint": "f" * 64,
        "backend": "torch",
        "mode": "eager",
        "engine": "torch",
        "engine_version": "2.9.0",
        "device": "cpu",
        "precision": "float32",
        "threads": 2,
        "cpu": "Test CPU",
        "seed": 0,
        "batch_size": 64,
        "parameters": 315_722,
        "epochs": 2,
        "best_epoch": 1,
        "import_seconds": 1.0,
        "first_step_seconds": 0.5,
        "training_seconds": 1.5,
        "evaluation_seconds": 0.0,
        "train_accuracy": 0.75,
        "train_loss": 1.5,
        "validation_accuracy": 0.5,
        "test_accuracy": 0.5,
        "test_loss": 1.25,
        "test_at_best_accuracy": 0.25,
        "test_at_best_loss": 1.5,
        "generalization_gap": 0.25,
        "peak_memory_bytes": 2**28,
        "others_cpus": None,
        "stolen_cpus": None,
        "disturbed": None,
        "settled": False,
        "option_width": 0.5,
        "option_optimizer": "sgd",
    }
    assert {name: row[name] for name in expected} == expected
    assert row["step_seconds"] == pytest.approx(0.065)
    assert row["samples_per_second"] == pytest.approx(64 / 0.065)
    assert pd.isna(row["validation_loss"])
    assert pd.isna(row["build_seconds"])


def test_a_failed_run_has_a_row_with_gaps(results):
    row = harness.load_results(results).iloc[1]
    gaps = ["engine", "engine_version", "device", "best_epoch", "step_seconds", "samples_per_second"]
    gaps += ["train_accuracy", "test_loss", "test_at_best_loss", "generalization_gap", "peak_memory_bytes"]
    assert {name for name in gaps if not pd.isna(row[name])} == set()
    assert row["epochs"] == 0


def test_options_of_different_tasks_are_columns_side_by_side(tmp_path):
    store = Store(tmp_path)
    store.prepare()
    task = FIRST.task
    other = type(task)("rnn", 1, {"cell": "gru"}, task.sha256, task.description)
    store.save(FIRST)
    store.save(make_record("20260103-c", task=other))
    frame = harness.load_results(tmp_path)
    assert frame["option_cell"].isna().tolist() == [True, False]
    assert frame["option_width"].isna().tolist() == [False, True]


@pytest.mark.parametrize("content", ["{", '{"schema": 99}', '{"benchmarks": []}'])
def test_an_unreadable_file_is_skipped_with_a_warning_that_names_it(results, content):
    (results / "runs" / "20260101-z.json").write_text(content)
    with pytest.warns(UserWarning, match=r"20260101-z\.json is not a readable run record") as caught:
        frame = harness.load_results(results)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert frame["id"].tolist() == ["20260101-a", "20260102-b"]


def test_no_results_make_an_empty_frame(tmp_path):
    with pytest.warns(UserWarning, match="there are no records in"):
        assert harness.load_results(tmp_path / "nowhere").empty
