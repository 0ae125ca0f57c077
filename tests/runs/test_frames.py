"""Records as frames: a row per run, epoch, duel or metric; a file that cannot be read is skipped."""

import re

import msgspec
import pandas as pd
import pytest
from support.made_duels import save_duel, stored_duel
from support.made_gates import mixed_gate, save
from support.records import EPOCHS, make_record, make_unfinished_record

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


def test_one_row_per_scored_epoch(results):
    frame = harness.load_epochs(results)
    assert frame["id"].tolist() == ["20260101-a"] * 2
    expected = {
        "backend": "torch",
        "seed": 0,
        "epoch": 2,
        "steps": 24,
        "training_seconds": 1.5,
        "training_loss": 1.75,
        "train_accuracy": 0.75,
        "validation_accuracy": 0.5,
        "best": False,
        "option_optimizer": "sgd",
    }
    row = frame.iloc[1]
    assert {name: row[name] for name in expected} == expected
    assert frame["best"].tolist() == [True, False]
    assert pd.isna(row["validation_loss"])
    assert frame["scored_at"].isna().all()


def test_epochs_have_the_time_at_which_they_were_scored(tmp_path):
    store = Store(tmp_path)
    store.prepare()
    epoch = msgspec.structs.replace(EPOCHS[0], scored_at="2026-01-01T00:00:09.500+00:00")
    store.save(make_record(epochs=[epoch]))
    frame = harness.load_epochs(tmp_path)
    assert frame["scored_at"].tolist() == [pd.Timestamp("2026-01-01T00:00:09.5Z")]


@pytest.mark.parametrize("load", [harness.load_epochs, harness.load_duels, harness.load_gates])
def test_every_frame_skips_what_is_unreadable_and_may_be_empty(tmp_path, load):
    folder = tmp_path / {"load_epochs": "runs", "load_duels": "duels", "load_gates": "gates"}[load.__name__]
    with pytest.warns(UserWarning, match="there are no records in"):
        assert load(tmp_path).empty
    folder.mkdir()
    (folder / "20260101-z.json").write_text("{")
    with pytest.warns(UserWarning, match=r"20260101-z\.json is not a readable") as caught:
        assert load(tmp_path).empty
    assert caught[0].filename == __file__


def test_one_row_per_configuration_of_a_duel(tmp_path):
    duel = stored_duel()
    save_duel(tmp_path, duel)
    frame = harness.load_duels(tmp_path)
    (result,) = duel.results
    expected = {
        "id": duel.id,
        "task": duel.task.name,
        "configuration": duel.configurations[1].label,
        "reference": duel.configurations[0].label,
        "verdict": "same",
        "ratio": result.ratio.value,
        "ratio_low": result.ratio.low,
        "pairs": result.pairs,
        "margin": duel.margin,
    }
    (row,) = frame.to_dict("records")
    assert {name: row[name] for name in expected} == expected


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
