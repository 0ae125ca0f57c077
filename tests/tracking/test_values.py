"""What trackers show of a record: names and values, without any tracker."""

import math

import msgspec
from support.made_records import made_record
from support.records import EPOCHS, make_record, make_unfinished_record

from harness.core.certify.certificate import Certificate
from harness.core.machine.description import GitState
from harness.core.runs.record import Failure, Pictures
from harness.tracking import values


def test_a_run_in_names_and_values(snapshot):
    """What is not known or not finite is left out; an option called like a condition gets another name."""
    base = make_record()
    record = make_record(
        task=msgspec.structs.replace(base.task, options={"width": 0.5, "seed": 7}),
        certificate=Certificate(certified=False, reason="other losses"),
        machine=msgspec.structs.replace(base.machine, git=GitState("abc", dirty=True)),
    )
    epoch = msgspec.structs.replace(EPOCHS[1], training_loss=math.inf)
    unknown = values.tags(msgspec.structs.replace(make_unfinished_record(), failure=Failure("no memory")))
    assert {
        "parameters": values.parameters(record),
        "tags": values.tags(record),
        "tags of a run that failed": unknown,
        "scores of an epoch": values.epoch_values(epoch, judged=True),
        "results": values.final_values(made_record()),
    } == snapshot
    assert all(unknown.values())
    assert "epoch/training_seconds" not in values.epoch_values(epoch, judged=False)


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
