"""Which configuration finishes a training first, from pairs whose times are known."""

import math

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from support.made_duels import stored_duel
from support.made_pairs import compare, made_pair

from harness.core.runs.record import DatasetRecord
from harness.core.training.batches import BatchOrder
from harness.core.training.counts import steps_of_training
from harness.timing.duel.command import command
from harness.timing.duel.finishing import finish_of
from harness.timing.duel.page import duel_document, finish_sentence

#: A step of the reference takes this long, and its start-up 4 s.
_STEP = 0.1 / 6


def pair(ratio, first=1.0):
    """The second configuration has a step of ``ratio``, and ``first`` times the first step of 2 s."""
    return made_pair(ratio, first=first)


def noisy(ratio, first, spread=0.01, pairs=10, seed=3):
    rng = np.random.default_rng(seed)
    return [
        pair(ratio * math.exp(rng.normal(0, spread)), first + rng.normal(0, spread)) for _ in range(pairs)
    ]


def finish(pairs, steps, sizes=(64, 64)):
    return finish_of(pairs, 1, list(sizes), steps)


def sentence(pairs, steps):
    return finish_sentence(msgspec.structs.replace(compare(pairs), finish=finish(pairs, steps)))


def test_the_whole_time_is_start_up_and_steps():
    found = finish([pair(0.5, 3.0)] * 5, 101)
    assert found.seconds == pytest.approx([8.0 + 100 * 0.5 * _STEP, 4.0 + 100 * _STEP])
    assert found.ratio.value == pytest.approx(found.seconds[0] / found.seconds[1])


def test_a_step_is_of_the_samples_of_the_reference():
    """Twice the batch in the same time is half the time per sample."""
    alike = finish([pair(1.0)] * 5, 200, (64, 128))
    assert alike.seconds[0] == pytest.approx(4.0 - _STEP + 200 * _STEP / 2)


def test_disturbed_pairs_are_left_out_and_few_have_no_interval():
    lost = made_pair(5.0, lost=range(8))
    assert finish([pair(0.5), lost, pair(0.5)], 9).ratio.n == 2
    assert finish([pair(0.5), pair(0.5)], 9).ratio.low is None
    assert finish([lost], 9) is None


SAID = {
    "certain": lambda: sentence(noisy(0.9, 2.0), 100),
    "open": lambda: sentence(noisy(0.9, 2.0), 1200),
    "two pairs": lambda: sentence(noisy(0.5, 2.0, pairs=2), 100),
    "steps not known": lambda: sentence(noisy(0.9, 2.0), None),
}


@pytest.mark.parametrize("name", SAID)
def test_the_sentence(name, snapshot):
    assert SAID[name]() == snapshot


def test_every_duel_with_pairs_says_it_whatever_its_verdict():
    for verdict in ("faster", "slower", "same", "undecided"):
        record = stored_duel()
        record.results = [msgspec.structs.replace(record.results[0], verdict=verdict)]
        assert "For your 6,012 steps" in str(duel_document(record).headline[1])


def test_the_steps_are_those_that_a_run_makes():
    record = stored_duel()
    task, samples = record.task.description, record.dataset.samples["train"]
    order = BatchOrder.of_task(task, samples, 0)
    assert record.training_steps == steps_of_training(task, samples) == order.steps_per_epoch * task.epochs
    assert msgspec.structs.replace(record, max_steps=460).training_steps == 460
    assert msgspec.structs.replace(record, dataset=DatasetRecord("x")).training_steps is None


def test_epochs_are_those_of_tasks():
    done = CliRunner().invoke(command, ["a.py:make", "b.py:make", "--epochs", "3"])
    assert "--epochs is for tasks" in str(done.exception or done.output)
