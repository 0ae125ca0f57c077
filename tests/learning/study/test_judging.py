"""Judging variants: intervals that stay possible, and rules that are seldom wrong."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support.simulated_studies import ACCURATE, LOSS, MEANS, RULES, SPREADS, simulated

from harness.core.stats.intervals import joint_confidence
from harness.core.stats.scales import Scale, linearised
from harness.learning.study.judging import Side, contrast, standings
from harness.learning.study.quantities import Quantity, measure


def _sides(**values):
    return {
        name: Side(None, True, {"score": dict(enumerate(each)), "time": dict(enumerate(each))})
        for name, each in values.items()
    }


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("means", ["equal", "spread out"])
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize(("seeds", "loss"), [(3, False), (5, True)])
def test_at_most_one_of_twenty_studies_makes_a_wrong_claim(rule, means, spread, seeds, loss):
    assert _is_seldom_wrong(simulated(rule, MEANS[means], SPREADS[spread], seeds, STUDIES, loss=loss))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("loss", [False, True])
def test_variants_that_differ_by_the_margin_are_seldom_called_equal(rule, loss):
    """The first is better by the margin; losses are those of points, and their margin is relative."""
    gap = -30 * math.log1p(-LOSS.measure.margin) if loss else ACCURATE.measure.margin
    found = simulated(rule, [90.0, *[90.0 - gap] * 5], np.full(6, 0.4), 5, STUDIES, loss=loss)
    assert _is_seldom_wrong(found)


STUDIES = 200


def _is_seldom_wrong(found):
    """The 99.9 % quantile of wrong claims where 5 % of studies make one is not exceeded."""
    return found["wrong"] * STUDIES <= stats.binom.ppf(0.999, STUDIES, 0.05)


def test_a_variant_that_is_three_points_better_is_named():
    for rule in RULES:
        assert simulated(rule, MEANS["one better"], SPREADS["even"], 10, 50)["named"] > 0.9


def test_the_verdict_on_each_variant_follows_from_its_interval():
    rng = np.random.default_rng(3)
    seen = set()
    for _ in range(100):
        means = rng.uniform(60, 95, size=4)
        sides = _sides(**{f"v{n}": (mean + rng.normal(size=5)).tolist() for n, mean in enumerate(means)})
        for found in standings(sides, [ACCURATE]).values():
            change = found.changes["score"]
            seen.add(found.verdict)
            if found.verdict == "best":
                assert change.low > 0
            elif found.verdict == "worse":
                assert change.high < 0
            elif found.verdict == "undecided":
                assert change.low <= 0 <= change.high or abs(change.value) < 1
    assert seen == {"best", "worse", "undecided"}


def test_two_equal_variants_are_equally_good_and_a_third_is_worse():
    values = [90.0, 90.2, 89.9, 90.1, 90.0]
    found = standings(_sides(a=values, b=values, c=[80.1, 80.0, 80.3, 79.9, 80.2]), [ACCURATE])
    assert {name: each.verdict for name, each in found.items()} == {"a": "equal", "b": "equal", "c": "worse"}
    assert found["c"].changes["score"].value == pytest.approx(-9.94, abs=0.01)


def test_a_change_is_one_that_its_variant_can_make():
    found = standings(_sides(a=[98.2, 99.1, 97.9], b=[40.0, 99.0, 85.0]), [ACCURATE])
    assert 98.4 + found["b"].changes["score"].high <= 100.001
    assert found["a"].changes["score"].low >= -100


def test_a_variant_alone_has_no_standing():
    assert standings(_sides(a=[98.2, 99.1, 97.9]), [ACCURATE]) == {}


def test_a_lower_loss_is_the_best():
    found = standings(_sides(a=[0.31, 0.32, 0.3, 0.31], b=[0.9, 0.92, 0.91, 0.9]), [LOSS])
    assert (found["a"].verdict, found["b"].verdict) == ("best", "worse")
    assert found["b"].changes["score"].low > 0


def test_an_undecided_variant_says_how_many_seeds_would_decide():
    rng = np.random.default_rng(1)
    a, b = (70 + 2 * rng.normal(size=5)).tolist(), (72 + 2 * rng.normal(size=5)).tolist()
    found = standings(_sides(a=a, b=b), [ACCURATE])
    assert {each.verdict for each in found.values()} == {"undecided"}
    (needed,) = (
        each.need.seeds for each in found.values() if each.need.seeds is not None
    )  # the leader has none
    assert 5 < needed < 100
    more = math.ceil(needed / 5)
    again = standings(_sides(a=a * more, b=b * more), [ACCURATE])
    assert "undecided" not in {each.verdict for each in again.values()}


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_seeds_give_no_interval_and_no_verdict(count):
    found = standings(_sides(a=[90.0] * count, b=[70.0] * count), [ACCURATE])["a"]
    assert (found.verdict, found.changes["score"]) == ("few", None)


_SHARES = st.lists(st.floats(0, 100), min_size=3, max_size=8)


@settings(max_examples=30, deadline=None)
@given(st.data(), _SHARES)
def test_intervals_of_accuracies_are_possible(data, ours):
    theirs = data.draw(st.lists(st.floats(0, 100), min_size=len(ours), max_size=len(ours)))
    sides = _sides(ours=ours, theirs=theirs)
    change = contrast(ACCURATE, sides["ours"], sides["theirs"], joint_confidence(5)).change
    base = np.mean(theirs)
    assert -base - 1e-9 <= change.low <= change.value <= change.high <= 100 - base + 1e-9
    level = Scale(0.0, 100.0).level(np.array(ours))
    assert 0 <= level.low <= level.value <= level.high <= 100


@settings(max_examples=30, deadline=None)
@given(st.data(), st.lists(st.floats(1e-6, 1e6), min_size=3, max_size=8))
def test_intervals_of_losses_stay_above_zero(data, ours):
    theirs = data.draw(st.lists(st.floats(1e-6, 1e6), min_size=len(ours), max_size=len(ours)))
    sides = _sides(ours=ours, theirs=theirs)
    change = contrast(LOSS, sides["ours"], sides["theirs"], 0.95).change
    assert np.mean(theirs) + change.low >= -1e-9 * np.mean(theirs)
    assert change.low <= change.value <= change.high
    assert Scale(0.0).level(np.array(ours)).low >= 0


def test_close_to_the_middle_the_interval_is_that_of_students_t():
    rng = np.random.default_rng(0)
    ours, theirs = 50 + rng.normal(size=8) / 10, 50 + rng.normal(size=8) / 10
    line = linearised(ours, theirs, Scale(0.0, 100.0))
    change = contrast(ACCURATE, *_sides(a=ours.tolist(), b=theirs.tolist()).values(), 0.95).change
    plain = stats.ttest_1samp(ours - theirs, 0).confidence_interval()
    assert (change.low, change.high) == pytest.approx((plain.low, plain.high), rel=0.01)
    assert line.differences.mean() == pytest.approx((ours.mean() - theirs.mean()) / 25, rel=0.01)


def test_a_ratio_that_a_seed_never_reaches_is_not_estimated():
    of = Quantity("time", measure("time to target", "s"), lambda _runs, _best: {}, ratio=True)
    sides = _sides(a=[1.0, 2.0, 3.0], b=[2.0, 4.0, math.inf], c=[2.0, 4.0, 6.1])
    assert contrast(of, sides["b"], sides["a"], 0.95).change is None
    assert contrast(of, sides["c"], sides["a"], 0.95).change.value == pytest.approx(2.0, rel=0.01)
