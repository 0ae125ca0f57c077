"""How long the confirmation of a benchmark goes on, and when more pairs are hopeless."""

import math

import numpy as np
import pytest

from harness.duel.ratios import Ratios
from harness.gate.judgement import PairedSeries, outlook

LEVEL = 0.01 / 6


def series(loss, spread=0.01, pairs=12):
    logs = math.log1p(loss) + np.random.default_rng(1).normal(0, spread, pairs)
    return PairedSeries("step", 0.05, Ratios(logs), np.zeros(0), 0, 1.0, 1.0)


def seen(*every, left=300.0, pair_seconds=10.0, most=40, may_end=True):
    return outlook(every, LEVEL, pair_seconds, left, most, may_end=may_end)


def test_the_slowest_metric_decides_how_long_it_takes():
    quick, slow = series(0.1, pairs=4), series(0.06, pairs=4)
    assert seen(quick).pairs_wanted < seen(slow).pairs_wanted
    assert seen(quick, slow).pairs_wanted == seen(slow).pairs_wanted
    assert seen(quick, slow).seconds == 10.0 * seen(slow).pairs_wanted


def test_there_is_never_more_time_than_is_left():
    wanted = series(0.06, pairs=4)
    assert (seen(wanted, left=35.0).pairs_left, seen(wanted, left=35.0).seconds) == (3, 30.0)
    assert seen(wanted, most=2).pairs_left == 2
    assert seen(wanted, left=5.0).pairs_left == seen(wanted, left=-1.0).pairs_left == 0
    assert seen(wanted, left=math.inf).pairs_left == 40
    assert seen(wanted, pair_seconds=0.0).pairs_left == 40  # before anything is known


def test_a_loss_at_the_limit_is_given_up_and_one_that_more_pairs_decide_is_not():
    at_the_limit, noisy = series(0.0485, spread=0.005), series(0.2, spread=0.12)
    assert seen(at_the_limit).is_hopeless
    assert not seen(noisy).is_hopeless
    assert not seen(at_the_limit, noisy).is_hopeless
    assert not seen(at_the_limit, may_end=False).is_hopeless
    assert not seen(series(0.0485, spread=0.005, pairs=9)).is_hopeless


def test_pairs_that_were_all_lost_are_no_forecast():
    assert not seen(series(0.2, pairs=0)).is_hopeless


@pytest.mark.parametrize("pair_seconds", [5.0, 200.0])
def test_what_there_is_no_time_for_is_hopeless(pair_seconds):
    noisy = series(0.06, spread=0.15, pairs=20)
    assert seen(noisy, pair_seconds=pair_seconds).is_hopeless == (pair_seconds > 100)
