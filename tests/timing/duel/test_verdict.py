"""From made pairs to a verdict, and how it is printed."""

import itertools
import math

import numpy as np
import pytest
from support.made_pairs import compare, made_pair, noisy_pairs

from harness.timing.duel import verdict
from harness.timing.duel.page import evidence_text, verdict_line
from harness.timing.engine.ratios import Ratios, step_ratios


def test_false_alarms_over_all_pairs_stay_under_the_level():
    """Counted over every pattern of signs, which are equally likely if the configurations are equal."""
    sizes = 0.02 * np.abs(np.random.default_rng(3).standard_t(3, 10))  # heavier tails than those of a machine
    every = [Ratios(sizes * np.array(signs)) for signs in itertools.product([-1, 1], repeat=10)]
    alarms = [ratios.difference_p_value(math.log1p(0.02)) <= verdict.DIFFERENCE_LEVEL for ratios in every]
    assert np.mean(alarms) <= verdict.DIFFERENCE_LEVEL


def test_a_large_difference_takes_four_pairs():
    pairs = [made_pair(ratio) for ratio in (0.636, 0.655, 0.64, 0.651)]
    assert [compare(pairs[:made]).verdict for made in (3, 4)] == ["undecided", "faster"]
    assert compare(pairs[:3]).pairs_wanted == 1


def test_same_must_hold_with_slow_processes_counted_in_full():
    """Every ninth process of the second configuration is slow: the typical ratio is 1, the mean is not."""
    rng = np.random.default_rng(5)
    pairs = [*noisy_pairs(rng, 1.0, 0.001, 16), *noisy_pairs(rng, 1.6, 0.001, 2)]
    ratios = step_ratios(pairs, 1, [1, 1])
    assert Ratios(ratios.logs[:16]).same_p_value(math.log(1.02)) < 0.01
    assert ratios.same_p_value(math.log(1.02)) == 1.0
    assert ratios.same_p_value(math.log(1.1)) < 0.01
    assert compare(pairs).verdict != "same"


def test_slow_processes_do_not_hide_a_slowdown_and_are_reported(snapshot):
    rng = np.random.default_rng(2)
    result = compare([*noisy_pairs(rng, 1.05, 0.01, 12), made_pair(0.7), made_pair(1.5)])
    assert result.verdict == "slower"
    assert result.ratio.value == pytest.approx(1.05, abs=0.015)
    assert 10.5 < result.weight < 11.5
    assert evidence_text(result) == snapshot


def test_only_the_verdict_same_may_change_later():
    same, slower, faster, undecided = (
        compare(noisy_pairs(np.random.default_rng(5), ratio, spread, 8))
        for ratio, spread in ((1.0, 0.002), (1.1, 0.005), (0.9, 0.005), (1.02, 0.03))
    )
    words = [result.verdict for result in (same, slower, faster, undecided)]
    assert words == ["same", "slower", "faster", "undecided"]
    assert verdict.latest(same, slower) is slower
    assert verdict.latest(same, undecided) is same
    assert verdict.latest(slower, same) is slower
    assert verdict.latest(slower, faster) is slower
    assert verdict.latest(None, undecided) is None


@pytest.mark.parametrize(("ratio", "word"), [(1.05, "slower"), (0.95, "faster"), (1.0, "same")])
def test_verdicts(ratio, word):
    pairs = noisy_pairs(np.random.default_rng(5), ratio, 0.008, 8)
    result = compare(pairs)
    assert result.verdict == word
    assert result.ratio.value == pytest.approx(ratio, rel=0.02)
    assert result.ratio.low < result.ratio.value < result.ratio.high


def test_more_pairs_are_asked_for_where_the_spread_is_wide():
    result = compare(noisy_pairs(np.random.default_rng(4), 1.01, 0.06, 8))
    assert result.verdict == "undecided"
    assert result.pairs_wanted > 8


def test_a_control_that_moves_leaves_no_verdict():
    rng = np.random.default_rng(7)
    for ratio in (1.0, 1.3):
        pairs = [made_pair(ratio * math.exp(rng.normal(0, 0.005)), control=1.04) for _ in range(8)]
        result = compare(pairs)
        assert result.verdict == "undecided"
        assert result.reason == "control moved"
        assert result.control_ratio == pytest.approx(1.04)


def test_a_verdict_stays_after_its_look_unless_the_machine_changed():
    rng = np.random.default_rng(10)
    pairs = noisy_pairs(rng, 1.1, 0.005, 8)
    reached = compare(pairs)
    assert reached.verdict == "slower"
    assert reached.reached_after == 8
    later = verdict.kept(reached, compare([*pairs, *noisy_pairs(rng, 0.8, 0.005, 1)]))
    assert later.verdict == "slower"
    assert (later.pairs, later.reached_after) == (9, 8)
    moved = [made_pair(1.1 * math.exp(rng.normal(0, 0.005)), control=1.3) for _ in range(8)]
    assert verdict.kept(reached, compare([*pairs, *moved])).verdict == "undecided"
    assert compare([*pairs, *moved]).reached_after is None
    assert verdict.kept(None, compare(pairs)).verdict == "slower"


@pytest.mark.parametrize(
    ("ratio", "spread", "enough"),
    [(1.05, 0.02, True), (1.05, 0.06, False), (1.5, 0.06, True), (1.0, 0.06, False)],
)
def test_a_duel_goes_on_until_its_ratio_is_known(ratio, spread, enough):
    result = compare(noisy_pairs(np.random.default_rng(11), ratio, spread, 14))
    assert verdict.known_well_enough(result, 0.02) == enough


def test_pairs_lost_to_disturbances_leave_no_verdict():
    pairs = noisy_pairs(np.random.default_rng(8), 1.2, 0.005, 8)
    lost = [made_pair(1.2, lost=range(8)) for _ in range(6)]
    result = compare(pairs + lost)
    assert result.pairs == 8
    assert result.verdict == "undecided"
    assert (result.reason, result.lost) == ("pairs lost", 6)


def test_several_configurations_share_the_error():
    pairs = noisy_pairs(np.random.default_rng(9), 1.1, 0.005, 5)
    assert compare(pairs).verdict == "undecided"
    assert compare(pairs).pairs_wanted < compare(pairs, comparisons=3).pairs_wanted


SAME = [made_pair(1.0)] * 8
LINES = {
    "margin of 2 %": (SAME, 0.02),
    "margin of 0.5 %": (SAME, 0.005),
    "margin of 1.5 %": (SAME, 0.015),
    "three pairs": ([made_pair(ratio) for ratio in (0.636, 0.655, 0.64)], 0.02),
    "two pairs": ([made_pair(0.12), made_pair(0.11)], 0.02),
    "noise": (noisy_pairs(np.random.default_rng(4), 1.0, 0.01, 6), 0.02),
    "hopeless": (noisy_pairs(np.random.default_rng(4), 1.001, 0.2, 8), 0.02),
    "lost": ([made_pair(1.2)] * 8 + [made_pair(1.2, lost=range(8))] * 6, 0.02),
}


@pytest.mark.parametrize("name", LINES)
def test_the_line_of_a_verdict_says_what_is_likely_and_what_is_missing(name, snapshot):
    pairs, margin = LINES[name]
    result = verdict.compare(pairs, 1, ["a", "b"], [64, 64], margin=margin)
    assert verdict_line(result, margin) == snapshot
