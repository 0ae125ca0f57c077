"""Which configuration finishes a training first, and the break-even, from pairs whose times are known."""

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
from harness.timing.duel.record import DuelRecord

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


def test_break_even_is_where_both_take_as_long():
    found = finish([pair(0.5, 3.0)] * 5, 101)
    steps = found.break_even.value
    assert steps == pytest.approx(1 + 4.0 / (0.5 * _STEP), rel=1e-3)
    assert finish([pair(0.5, 3.0)] * 5, round(steps)).ratio.value == pytest.approx(1, abs=1e-3)


def test_the_interval_of_break_even_has_the_steps_for_which_the_order_is_open():
    pairs = noisy(0.9, 2.0)
    turn = finish(pairs, 1).break_even
    assert turn.low < turn.value < turn.high
    around = {0.97 * turn.low: True, 1.03 * turn.low: False, 0.97 * turn.high: False, 1.03 * turn.high: True}
    for steps, certain in around.items():
        assert finish(pairs, round(steps)).ratio.excludes(1.0) == certain


def test_it_covers_the_true_break_even_at_its_level():
    true = 1 + 2.0 / (0.1 * _STEP)
    turns = [finish(noisy(0.9, 2.0, seed=seed), 1).break_even for seed in range(40)]
    inside = sum(turn.low <= true and (turn.high is None or true <= turn.high) for turn in turns)
    assert inside >= 35  # of 95 %, 34 or fewer have a probability of 0.1 %


@pytest.mark.parametrize(("ratio", "first"), [(0.9, 0.5), (1.1, 2.0)])
def test_no_break_even_where_one_starts_and_steps_in_less_time(ratio, first):
    found = finish([pair(ratio, first)] * 5, 10)
    assert found.break_even is None
    assert found.starts_sooner == (ratio < 1)


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
    "below": lambda: sentence(noisy(0.9, 2.0), 100),
    "beyond": lambda: sentence(noisy(0.9, 2.0), 100_000),
    "open": lambda: sentence(noisy(0.9, 2.0), 1200),
    "no end": lambda: sentence(noisy(0.98, 2.0, spread=0.04), 100),
    "always": lambda: sentence(noisy(1.1, 2.0), 100),
    "two pairs": lambda: sentence(noisy(0.5, 2.0, pairs=2), 100),
    "steps not known": lambda: sentence(noisy(0.9, 2.0), None),
    "steps not known, always": lambda: sentence(noisy(0.9, 0.5), None),
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


def test_a_break_even_without_end_is_stored():
    record = stored_duel()
    found = finish(noisy(0.98, 2.0, spread=0.04), 100)
    assert found.break_even.high is None
    record.results = [msgspec.structs.replace(record.results[0], finish=found)]
    read = msgspec.json.decode(msgspec.json.encode(record), type=DuelRecord)
    assert read.results[0].finish == found


def test_epochs_are_those_of_tasks():
    done = CliRunner().invoke(command, ["a.py:make", "b.py:make", "--epochs", "3"])
    assert "--epochs is for tasks" in str(done.exception or done.output)
