"""Equal, different or cannot tell: against SciPy's own tests, and where there is little or no spread."""

import numpy as np
import pytest
from scipy import stats

from harness.stats.equivalence import equivalence, seeds_needed
from harness.stats.estimate import Estimate
from harness.stats.intervals import geometric_interval, mean_interval, resampled_means


def _by_seed(values):
    return dict(enumerate(values))


@pytest.mark.parametrize("seed", range(6))
def test_p_values_are_those_of_scipy(seed):
    random = np.random.default_rng(seed)
    one, other = random.normal(60 + seed / 3, 1, 8), random.normal(60, 1, 8)
    found = equivalence(_by_seed(one), _by_seed(other), margin=1.0)
    above = stats.ttest_1samp(one - other, -1.0, alternative="greater").pvalue
    below = stats.ttest_1samp(one - other, 1.0, alternative="less").pvalue
    expected = max(above, below) if found.verdict == "equal" else stats.ttest_rel(one, other).pvalue
    assert found.p == pytest.approx(expected)
    assert (max(above, below) < 0.05) == (found.verdict == "equal")
    interval = stats.ttest_rel(one, other).confidence_interval(0.95)
    assert (found.difference.low, found.difference.high) == pytest.approx((interval.low, interval.high))


def test_three_answers():
    base = [60.0, 61.0, 59.5, 60.5, 60.2]
    near = [value + shift for value, shift in zip(base, [0.1, -0.1, 0.2, 0.0, -0.2], strict=True)]
    far = [value + shift for value, shift in zip(base, [3.0, 2.8, 3.3, 2.9, 3.1], strict=True)]
    noisy = [value + shift for value, shift in zip(base, [3.0, -2.5, 4.0, -3.0, 1.0], strict=True)]
    assert equivalence(_by_seed(near), _by_seed(base), 1.0).verdict == "equal"
    assert equivalence(_by_seed(far), _by_seed(base), 1.0).verdict == "different"
    told = equivalence(_by_seed(noisy), _by_seed(base), 1.0)
    assert told.verdict == "undecided"
    assert told.seeds_needed > 5


def test_a_certain_difference_below_the_margin_is_equal():
    base = np.array([60.0, 61.0, 59.5, 60.5])
    found = equivalence(_by_seed(np.add(base, [0.30, 0.31, 0.29, 0.30])), _by_seed(base), 1.0)
    assert found.difference.low > 0
    assert found.verdict == "equal"


def test_only_seeds_of_both_count_and_one_says_nothing():
    found = equivalence({0: 1.0, 1: 2.0, 7: 50.0}, {0: 1.0, 1: 2.0, 8: 0.0}, 1.0)
    assert (found.verdict, found.difference.n) == ("equal", 2)
    single = equivalence({0: 1.0}, {0: 1.0}, 1.0)
    assert (single.verdict, single.p, single.difference.low) == ("undecided", None, None)
    assert equivalence({0: 1.0}, {1: 1.0}, 1.0).difference is None


def test_differences_without_spread():
    assert equivalence(_by_seed([1, 1, 1]), _by_seed([1, 1, 1]), 1.0).verdict == "equal"
    assert equivalence(_by_seed([5, 5, 5]), _by_seed([1, 1, 1]), 1.0).verdict == "different"


def test_seeds_needed_gives_about_the_stated_power():
    # Of experiments with as many seeds as are said to be needed, about four fifths find equality.
    sample = stats.zscore(np.arange(8.0), ddof=1)
    n = seeds_needed(sample, margin=1.0)
    random = np.random.default_rng(0)
    equal = [
        equivalence(_by_seed(random.normal(0, 1, n)), _by_seed(np.zeros(n)), 1.0).verdict == "equal"
        for _ in range(400)
    ]
    assert 0.72 < np.mean(equal) < 0.92


def test_one_value_makes_no_interval():
    assert mean_interval([2.0]) == Estimate(2.0, None, None, 1)
    assert mean_interval([]) is None
    assert geometric_interval([2.0, 8.0]).value == pytest.approx(4.0)


def test_what_does_not_change_does_not_fall_either():
    turned = Estimate(0.0, -1.0, 0.0, 2).negated()
    assert str((turned.value, turned.low, turned.high)) == "(0.0, 0.0, 1.0)"


def test_curves_are_resampled_whole():
    # Each mean of these curves must be a mix of the two, the same mix at every epoch.
    curves = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 4.0]])
    means = resampled_means(curves, 200)
    assert set(np.unique(means[:, 0])) == {0.0, 0.5, 1.0}
    assert np.array_equal(means, means[:, :1] * [1.0, 2.0, 4.0])
