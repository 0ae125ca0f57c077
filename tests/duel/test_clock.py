"""The check of a clock on made-up blocks: a busy machine passes, a time that ignores the steps does not."""

from types import SimpleNamespace

import numpy as np
import pytest

from harness.duel import clock
from harness.duel.clock import prove_clock
from harness.errors import HarnessError


class TimedWorker:
    """A block takes ``seconds(steps)``; reading the weights takes no time."""

    def __init__(self, seconds):
        self.block = seconds
        self.order = SimpleNamespace(even_steps=lambda steps: steps)


@pytest.fixture(autouse=True)
def _weights_are_there(monkeypatch):
    monkeypatch.setattr(clock, "_reading_seconds", lambda _worker: 0.0)


def test_hiccups_of_the_machine_pass():
    chance = np.random.default_rng(4)

    def seconds(steps):
        return 0.001 * steps * (1.0 if chance.random() < 0.4 else chance.uniform(1.0, 5.0))

    for _ in range(200):
        proven = prove_clock(TimedWorker(seconds), 0.03)
        assert proven.quickest_step_seconds == pytest.approx(0.001, rel=0.5)


@pytest.mark.parametrize(
    ("pending", "weights", "shortest", "refused"),
    [
        (0.0, 0.001, 0.03, False),
        (0.001, 0.001, 0.03, False),
        (0.003, 0.001, 0.03, True),  # a tenth of such a block
        (0.003, 0.001, 0.11, False),
        (0.013, 0.001, 0.11, True),
        (0.013, 0.1, 0.03, False),
    ],
    ids=[
        "done",
        "within what readings differ by",
        "much of a short block",
        "little of a longer one",
        "a step is left",
        "no more than large weights differ by",
    ],
)
def test_work_left_after_a_block_is_detected(monkeypatch, pending, weights, shortest, refused):
    """Blocks of 0.128 s; the first reading of the weights waits for pending work."""
    work = SimpleNamespace(left=0.0)

    def block(steps):
        work.left = pending
        return 0.001 * steps

    def reading(_worker):
        left, work.left = work.left, 0.0
        return weights + left

    monkeypatch.setattr(clock, "_reading_seconds", reading)
    if refused:
        with pytest.raises(HarnessError, match=rf"the device worked for {pending:g} s more"):
            prove_clock(TimedWorker(block), shortest)
    else:
        assert prove_clock(TimedWorker(block), shortest).ratio == pytest.approx(2.0)


def test_a_period_of_slow_first_readings_passes(monkeypatch):
    readings = iter([0.004, 0.001] * 7)  # more than the readings of one attempt
    monkeypatch.setattr(clock, "_reading_seconds", lambda _worker: next(readings, 0.001))
    assert prove_clock(TimedWorker(lambda steps: 0.001 * steps), 0.03).ratio == pytest.approx(2.0)


@pytest.mark.parametrize("seconds", [lambda _steps: 0.2, lambda steps: 0.001 * steps**2])
def test_a_time_that_does_not_follow_the_steps_is_refused(seconds):
    with pytest.raises(HarnessError, match="its clock cannot be trusted: twice the steps took"):
        prove_clock(TimedWorker(seconds), 0.03)
