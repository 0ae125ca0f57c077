"""Whether delays explain the time that is missing from what a worker reports: calls made by chance."""

import random

import pytest

from harness.worker.missing_time import MissingTime


def is_proven(seed, seconds, wait, *, lost=0.0, calls=500):
    """Whether a clock that loses this share is found out; ``wait`` is the mean of the waits for a CPU."""
    chance = random.Random(seed)  # noqa: S311  not for secrets
    evidence = MissingTime()
    for _ in range(calls):
        delay = sum(chance.expovariate(1 / wait) for _ in range(chance.randint(0, 3)))
        observed = seconds + delay
        missing = lost * seconds + delay
        evidence.add(observed, observed - missing, missing, wait)
    return evidence.is_proven


@pytest.mark.parametrize("wait", [0.001, 0.004, 0.03, 0.2])
@pytest.mark.parametrize("seconds", [0.01, 0.1, 0.5, 2.0])
def test_delays_of_a_busy_machine_prove_nothing(seconds, wait):
    assert not any(is_proven(seed, seconds, wait) for seed in range(10))


@pytest.mark.parametrize(("seconds", "wait"), [(0.06, 0.0001), (0.5, 0.004), (2.0, 0.03)])
def test_a_tenth_that_every_call_loses_is_found(seconds, wait):
    assert all(is_proven(seed, seconds, wait, lost=0.1, calls=30) for seed in range(10))


def test_calls_that_others_may_have_lengthened_prove_nothing():
    assert not any(is_proven(seed, 0.05, 0.02, lost=0.1) for seed in range(10))
