"""Weights that equal steps moved elsewhere are told from those that rounding moved."""

import numpy as np
import pytest

from harness.testing.displacement import MOST_APART, share_apart

RANDOM = np.random.default_rng(0)
BEFORE = {"kernel": RANDOM.normal(size=(30, 20)), "bias": RANDOM.normal(size=20)}
WAY = {name: 0.01 * RANDOM.normal(size=array.shape) for name, array in BEFORE.items()}


def moved(share, noise=0.0):
    return {
        name: array + share * WAY[name] + noise * RANDOM.normal(size=array.shape)
        for name, array in BEFORE.items()
    }


@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16"])
def test_equal_steps_end_at_equal_weights(precision):
    before = {name: 0.0 * array for name, array in BEFORE.items()}
    after = {name: np.ones_like(array) for name, array in BEFORE.items()}

    assert share_apart(before, after, after, 8, precision) == 0.0


def test_half_of_the_steps_are_half_of_the_way():
    assert share_apart(BEFORE, moved(0.5), moved(1.0), 20, "float32") == pytest.approx(0.5)


def test_a_program_that_does_not_move_is_as_far_apart_as_it_gets():
    assert share_apart(BEFORE, BEFORE, moved(1.0), 20, "float32") == pytest.approx(1.0)


def test_rounding_is_a_small_share_of_a_way_that_can_be_judged():
    apart = share_apart(BEFORE, moved(1.0, noise=1e-6), moved(1.0), 20, "float32")

    assert apart < MOST_APART / 100


def test_nothing_is_said_of_a_way_as_short_as_rounding():
    tiny = moved(1e-5)

    assert share_apart(BEFORE, BEFORE, tiny, 20, "float32") is None
    assert share_apart(BEFORE, BEFORE, tiny, 20, "float64") == pytest.approx(1.0)


def test_running_statistics_do_not_hide_updates_that_are_left_out():
    before = BEFORE | {"running_mean": np.zeros(20)}
    statistics = {"running_mean": 100.0 * np.ones(20)}
    apart = share_apart(before, moved(0.5) | statistics, moved(1.0) | statistics, 20, "float32", statistics)

    assert apart == pytest.approx(0.5)


def test_statistics_that_were_not_updated_are_found():
    before = BEFORE | {"running_mean": np.zeros(20)}
    moving = moved(1.0)
    now = moving | {"running_mean": 1e-3 * np.ones(20)}
    apart = share_apart(before, moving | {"running_mean": np.zeros(20)}, now, 20, "float32", {"running_mean"})

    assert apart == pytest.approx(1.0)
