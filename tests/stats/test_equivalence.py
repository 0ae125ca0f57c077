"""Equal, different or undecided: compared with SciPy's own tests, and with little or no spread."""

import numpy as np
import pytest
from scipy import stats

from harness.stats.estimate import Estimate
from harness.stats.intervals import (
    equivalence,
    geometric_interval,
    mean_interval,
    resampled_means,
    seeds_needed,
)


def _by_seed(values):
    return dict(enumerate(values))


@pytest.mark.parametrize("seed", range(6))
def test_p_values_are_those_of_scipy(seed):
    random = np.random.default_rng(seed)
    ours, theirs = random.normal(60 + seed / 3, 1, 8), random.normal(60, 1, 8)
    result = equivalence(_by_seed(ours), _by_seed(theirs), margin=1.0)
    above = stats.ttest_1samp(ours - theirs, -1.0, alternative="greater").pvalue
    below = stats.ttest_1samp(ours - theirs, 1.0, alternative="less").pvalue
    expected = max(above, below) if result.verdict == "equal" else stats.ttest_rel(ours, theirs).pvalue
    assert result.p == pytest.approx(expected)
    assert (max(above, below) < 0.05) == (result.verdict == "equal")
    interval = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert (result.difference.low, result.difference.high) == pytest.approx((interval.low, interval.high))


def test_three_verdicts():
    base = [60.0, 61.0, 59.5, 60.5, 60.2]
    near = [value + shift for value, shift in zip(base, [0.1, -0.1, 0.2, 0.0, -0.2], strict=True)]
    far = [value + shift for value, shift in zip(base, [3.0, 2.8, 3.3, 2.9, 3.1], strict=True)]
    noisy = [value + shift for value, shift in zip(base, [3.0, -2.5, 4.0, -3.0, 1.0], strict=True)]
    assert equivalence(_by_seed(near), _by_seed(base), 1.0).verdict == "equal"
    assert equivalence(_by_seed(far), _by_seed(base), 1.0).verdict == "different"
    result = equivalence(_by_seed(noisy), _by_seed(base), 1.0)
    assert result.verdict == "undecided"
    assert result.seeds_needed > 5


def test_a_significant_difference_below_the_margin_is_equal():
    base = np.array([60.0, 61.0, 59.5, 60.5])
    result = equivalence(_by_seed(np.add(base, [0.30, 0.31, 0.29, 0.30])), _by_seed(base), 1.0)
    assert result.difference.low > 0
    assert result.verdict == "equal"


def test_only_common_seeds_count_and_two_are_not_enough():
    common = {0: 1.0, 1: 2.0, 2: 3.0}
    result = equivalence(common | {7: 50.0}, common | {8: 0.0}, 1.0)
    assert (result.verdict, result.difference.n) == ("equal", 3)
    two = equivalence({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}, 1.0)
    assert (two.verdict, two.p, two.difference.low, two.seeds_needed) == ("undecided", None, None, 3)
    single = equivalence({0: 1.0}, {0: 1.0}, 1.0)
    assert (single.verdict, single.p, single.difference.low) == ("undecided", None, None)
    assert equivalence({0: 1.0}, {1: 1.0}, 1.0).difference is None


def test_differences_without_spread():
    assert equivalence(_by_seed([1, 1, 1]), _by_seed([1, 1, 1]), 1.0).verdict == "equal"
    assert equivalence(_by_seed([5, 5, 5]), _by_seed([1, 1, 1]), 1.0).verdict == "different"


def test_seeds_needed_gives_about_the_stated_power():
    # About four fifths of the experiments with this number of seeds find equality.
    sample = stats.zscore(np.arange(8.0), ddof=1)
    n = seeds_needed(sample, margin=1.0)
    random = np.random.default_rng(0)
    equal = [
        equivalence(_by_seed(random.normal(0, 1, n)), _by_seed(np.zeros(n)), 1.0).verdict == "equal"
        for _ in range(400)
    ]
    assert 0.72 < np.mean(equal) < 0.92


def test_one_value_has_no_interval():
    assert mean_interval([2.0]) == Estimate(2.0, None, None, 1)
    assert mean_interval([]) is None
    assert geometric_interval([2.0, 8.0]).value == pytest.approx(4.0)


def test_zero_has_no_sign():
    turned = Estimate(0.0, -1.0, 0.0, 2).negated()
    assert str((turned.value, turned.low, turned.high)) == "(0.0, 0.0, 1.0)"


def test_curves_are_resampled_as_a_whole():
    # Each mean must be a mix of the two curves, the same mix at every epoch.
    curves = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 4.0]])
    means = resampled_means(curves, 200)
    assert set(np.unique(means[:, 0])) == {0.0, 0.5, 1.0}
    assert np.array_equal(means, means[:, :1] * [1.0, 2.0, 4.0])


def test_one_of_several_comparisons_uses_its_share_of_the_level():
    ours, theirs = {0: 1.0, 1: 2.1, 2: 2.9, 3: 4.0}, dict.fromkeys(range(4), 0.0)
    alone, one_of_ten = (equivalence(ours, theirs, 0.1, comparisons) for comparisons in (1, 10))
    assert (alone.verdict, one_of_ten.verdict) == ("different", "undecided")
    assert alone.p == one_of_ten.p < 0.05
    assert one_of_ten.difference.high > alone.difference.high
    assert one_of_ten.seeds_needed > 4
