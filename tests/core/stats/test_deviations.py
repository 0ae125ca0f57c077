"""A NaN is never within a tolerance, wherever it stands."""

import itertools
import math

import numpy as np
import pytest

from harness.core.audit.comparison import WeightsCheck
from harness.core.certify import parity
from harness.core.certify.digests import Piece, relative_difference
from harness.core.certify.observation import Observation
from harness.core.stats.deviations import exceeds, largest
from harness.core.stats.equivalence import equivalence_of

NAN = math.nan


@pytest.mark.parametrize("order", list(itertools.permutations([0.0, NAN, math.inf, -1.0])))
def test_the_largest_is_nan_if_any_is_and_exceeds_every_tolerance(order):
    assert math.isnan(largest(order))
    assert exceeds(largest(order), math.inf)


def test_the_largest_of_numbers_is_the_largest():
    assert (largest([1.0, 3.0, 2.0]), largest([])) == (3.0, 0.0)
    assert not exceeds(1.0, 1.0)
    assert exceeds(1.0, NAN)


def test_a_digest_with_a_nan_differs():
    right = Piece("", 1.0, [1.0, 2.0, 3.0])
    for wrong in (Piece("", 1.0, [1.0, NAN, 3.0]), Piece("", NAN, [1.0, 2.0, 3.0])):
        assert relative_difference(wrong, right) == math.inf


@pytest.mark.parametrize("step", range(3))
def test_losses_with_a_nan_are_not_certified(step):
    right = [[1.0], [0.9], [0.8]]
    wrong = [[NAN] if place == step else row for place, row in enumerate(right)]
    assert not parity.compare_losses(wrong, right, "float32").passed
    assert not parity.compare("case", Observation(wrong), Observation(right)).passed
    pairs, broken = [[1.0, 1.0]] * 3, [[1.0, NAN] if place == step else [1.0, 1.0] for place in range(3)]
    assert not parity.compare_losses(broken, pairs, "float32").passed


@pytest.mark.parametrize("reported", [NAN, math.inf])
def test_a_report_of_weights_that_are_not_finite_differs_from_finite_ones(reported):
    before, repeated = {"kernel": np.zeros(8)}, {"kernel": np.ones(8)}
    check = WeightsCheck(before, repeated, 20, "float32", ())
    assert check.compare({"kernel": np.array([1.0] * 7 + [reported])}).differs
    # Trainings that rounding leads to a NaN excuse it, as does a repetition that diverges.
    broken, gone = {"kernel": np.full(8, reported)}, {"kernel": np.full(8, NAN)}
    assert not check.compare(broken, (repeated, gone)).differs
    assert not WeightsCheck(before, gone, 20, "float32", ()).compare(broken).differs


def test_differences_with_a_nan_are_never_equal():
    assert equivalence_of(np.array([0.0, NAN, 0.0, 0.0]), margin=1.0).verdict == "undecided"
