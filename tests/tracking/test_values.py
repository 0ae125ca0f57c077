"""What trackers show of a record: names and values, without any tracker."""

import math

import msgspec
import pytest
from support.made_runs import made_record
from support.records import EPOCHS, make_record, make_unfinished_record

from harness.certify.certificate import Certificate
from harness.machine.description import GitState
from harness.runs.record import Failure, Pictures
from harness.tracking import values


def test_parameters_are_the_options_and_the_conditions():
    found = values.parameters(make_record())
    expected = {
        "task": "cnn",
        "dataset": "digits",
        "backend": "torch",
        "mode": "eager",
        "device": "cpu",
        "precision": "float32",
        "threads": 2,
        "seed": 0,
        "batch_size": 64,
        "epochs": 2,
        "width": 0.5,
        "optimizer": "sgd",
        "parameters": 315_722,
        "evaluated_every_epochs": 1,
    }
    assert {name: found[name] for name in expected} == expected
    assert found["learning_rate"] == make_record().task.description.optimizer.learning_rate
    assert "max_steps" not in found


def test_an_option_with_the_name_of_a_condition_gets_another_name():
    task = msgspec.structs.replace(make_record().task, options={"seed": 7})
    found = values.parameters(make_record(task=task))
    assert (found["seed"], found["option_seed"]) == (0, 7)


def test_tags_say_what_was_found_and_leave_out_what_is_unknown():
    record = make_record(certificate=Certificate(certified=False, reason="other losses"))
    found = values.tags(record)
    expected = {
        "status": "ok",
        "certificate": "not certified",
        "certificate_reason": "other losses",
        "dataset_fingerprint": "f" * 64,
        "framework/torch": "2.9.0",
        "cpu": "Test CPU",
        "harness": "0.1.0",
        "record_id": record.id,
        "command": "harness run",
    }
    assert {name: found[name] for name in expected} == expected
    assert not {"failure", "git_commit", "clock", "disturbed"} & found.keys()
    assert all(found.values())


def test_tags_of_a_failed_run_have_its_reason_and_the_commit():
    machine = msgspec.structs.replace(make_record().machine, git=GitState("abc", dirty=True))
    record = msgspec.structs.replace(make_unfinished_record(), failure=Failure("no memory"), machine=machine)
    found = values.tags(record)
    assert (found["status"], found["failure"]) == ("failed", "no memory")
    assert (found["git_commit"], found["git_dirty"]) == ("abc", "yes")


def test_metrics_of_an_epoch_leave_out_what_is_not_finite():
    assert values.epoch_values(EPOCHS[1]) == {
        "epoch/steps": 24.0,
        "epoch/training_seconds": 1.5,
        "epoch/training_loss": 1.75,
        "train/loss": 1.5,
        "train/accuracy": 0.75,
        "validation/accuracy": 0.5,
    }
    assert "epoch/training_loss" not in values.epoch_values(
        msgspec.structs.replace(EPOCHS[0], training_loss=math.inf)
    )


def test_final_metrics_have_the_step_time_with_its_percentiles():
    found = values.final_values(made_record(step=0.01, accuracy=0.5))
    assert found["test/accuracy"] == 0.5
    assert found["test_at_best/accuracy"] == pytest.approx(0.52)
    assert found["time/step_seconds"] == pytest.approx(0.01)
    assert found["time/step_seconds_p5"] <= found["time/step_seconds"] <= found["time/step_seconds_p95"]
    assert found["time/import_seconds"] == 1.0
    assert found["memory/peak_bytes"] == 2**28
    assert "memory/device_peak_bytes" not in found


def test_a_run_that_reached_nothing_has_no_results():
    found = values.final_values(make_unfinished_record())
    assert found == {"time/training_seconds": 0.0, "time/evaluation_seconds": 0.0}


def test_times_are_those_of_the_record_or_at_least_in_order():
    start = values.started_at(make_record())
    timed = msgspec.structs.replace(EPOCHS[0], scored_at="2026-01-01T00:00:09.500+00:00")
    assert values.scored_at(start, timed) == start + 9.5
    assert values.scored_at(start, EPOCHS[0]) == start + 1.0
    assert values.ended_at(make_record(epochs=[timed])) == start + 9.5
    assert values.ended_at(make_record()) == start + 2.5


def test_pictures_are_files_beside_the_record_alone(tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"")
    (tmp_path / "secret").write_bytes(b"")
    record = make_record(
        samples_file="a.png",
        pictures=Pictures(course="../secret", examples="gone.png", last_samples="/etc/hosts"),
    )
    assert values.pictures(record, folder) == {"samples": folder / "a.png"}
