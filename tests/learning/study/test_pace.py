"""The expected time of a study: by the steps of each variant, and by what was measured."""

from math import ceil

import msgspec
import pytest
from support.made_records import made_record

from harness.core.runs.record import Evaluation
from harness.learning.study.pace import Pace, Work
from harness.learning.study.variants import Design, StudyOptions
from harness.spec.task import Federated
from harness_tasks.studies import STUDIES as KINDS

SAMPLES = 3600


def _task(kind, variant, **changes):
    design = Design(StudyOptions(kind=KINDS[kind], task="mlp", backends=[], epochs=10))
    chosen = next(each for each in design.variants if each.name == variant)
    return msgspec.structs.replace(design.defined(chosen).task, **changes)


def _training(task):
    """The expected seconds of a run beyond those of one that makes a single step."""
    pace = Pace(lambda _description: None, SAMPLES)
    return pace.of_works([Work(task, task.epochs)]) - pace.of_works([Work(task, task.epochs, 0)])


def test_a_training_is_expected_to_take_as_long_as_its_steps():
    adam = _training(_task("optimizers", "adam"))
    assert _training(_task("optimizers", "adam", epochs=50)) == pytest.approx(5 * adam)
    assert _training(_task("optimizers", "gd")) < adam  # as much arithmetic, in one step an epoch
    # A quarter of the data for four times as many epochs: as many steps.
    quarter, whole = (_training(_task("data", name)) for name in ("1/4 of the data", "all data"))
    assert quarter == pytest.approx(whole)


def test_clients_make_the_steps_of_their_local_epochs():
    central, even, five = (_task("federated", name) for name in ("central", "even", "even 5 epochs"))
    assert _training(even) == pytest.approx(_training(central), rel=0.1)
    assert _training(five) == pytest.approx(5 * _training(even))
    assert five.federated == Federated(10, 5)


def test_epochs_that_a_limit_of_steps_leaves_out_are_not_scored():
    pace, task = Pace(lambda _description: None, SAMPLES), _task("optimizers", "adam")
    batches = ceil(SAMPLES / task.batch_size)
    limited, whole = (
        pace.of_works([work])
        for work in (Work(task, 1, 2 * batches), Work(msgspec.structs.replace(task, epochs=2)))
    )
    assert limited == pytest.approx(whole)


def _record(seconds, steps=10, **changes):
    record = made_record(**changes)
    blocks = [msgspec.structs.replace(block, steps=steps) for block in record.blocks]
    phases = msgspec.structs.replace(record.phases, first_step_seconds=0.0, training_seconds=seconds)
    return msgspec.structs.replace(record, blocks=blocks, phases=phases)


def _expected(pace, record, epochs):
    """The expected seconds of the training alone, in as many epochs as given."""
    task = msgspec.structs.replace(record.task.description, epochs=epochs)
    with_steps, without = (pace.of_works([Work(task, epochs, most)]) for most in (None, 0))
    return with_steps - without


def test_measured_runs_replace_the_model_of_their_variant():
    fast, slow = _record(1.0), _record(4.0)
    known = Pace(lambda _description: "plain")
    known.learn([fast])
    once = _expected(known, fast, 2)
    known.learn([slow])
    assert once > 0
    assert _expected(known, fast, 2) == pytest.approx(2.5 * once)
    assert _expected(known, fast, 4) == pytest.approx(2 * 2.5 * once)


def test_runs_that_failed_teach_nothing():
    pace = Pace(lambda _description: None)
    pace.learn([made_record(status="failed", epochs=[])], 10.0)
    assert not pace.is_known


def test_workers_beside_each_other_shorten_the_expected_time():
    record = _record(1.0)
    pace = Pace(lambda _description: None)
    pace.learn([record], None)
    work = [Work(record.task.description, Evaluation().every_epochs)]
    alone = pace.of_works(work)
    spent = sum(filter(None, record.phases.spent))
    pace.learn([record, record], spent)  # two runs in the time of one
    assert pace.of_works(work) == pytest.approx(alone / 2)
