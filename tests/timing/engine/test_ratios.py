"""The log ratios of pairs: disturbed blocks, hiccups and outliers."""

import math

import msgspec
import numpy as np
import pytest
from support.made_pairs import changed_block, made_pair

from harness.timing.engine.intervals import bootstrap_interval
from harness.timing.engine.pairs import mark_disturbed
from harness.timing.engine.ratios import Ratios, log_ratio


def test_log_ratio_is_of_time_per_sample():
    assert log_ratio(made_pair(1.5), 1, [64, 64]) == pytest.approx(math.log(1.5))
    assert log_ratio(made_pair(1.5), 1, [64, 128]) == pytest.approx(math.log(0.75))


def test_a_disturbed_block_drops_its_turn_for_both_configurations():
    clean = made_pair(1.1)
    assert log_ratio(made_pair(1.1, lost={0, 1, 2}), 1, [1, 1]) == pytest.approx(log_ratio(clean, 1, [1, 1]))
    assert log_ratio(made_pair(1.1, lost=range(5)), 1, [1, 1]) is None


def test_a_hiccup_does_not_move_the_ratio():
    hiccup = changed_block(made_pair(1.0), 1, 3, seconds=5.0)
    assert log_ratio(hiccup, 1, [1, 1]) == pytest.approx(0.0)


@pytest.mark.parametrize("threads", [[2, 1], [2, 2]])
def test_a_constant_load_that_meets_configurations_unequally_drops_nothing(threads):
    """A configuration of one thread leaves a CPU for it, one of two threads does not."""

    def marks(burst):
        pair = made_pair(1.0)
        taken = {(turn, 0): 0.066 for turn in range(8)} | ({(3, 1): 0.08} if burst else {})
        for (turn, configuration), seconds in taken.items():
            pair = changed_block(pair, configuration, turn, others_seconds=seconds)
        marked = mark_disturbed(pair.blocks, threads)
        return [(block.turn, block.configuration) for block in marked if block.disturbed]

    assert marks(burst=False) == []
    assert marks(burst=True) == [(3, 1)]


def test_with_few_turns_configurations_of_as_many_threads_are_judged_together():
    """The two blocks in the middle of two turns belong to one configuration."""
    made = made_pair(1.0, turns=2).blocks
    blocks = [
        msgspec.structs.replace(block, others_seconds=0.08) if place in (1, 2) else block
        for place, block in enumerate(made)
    ]
    assert [block.disturbed for block in mark_disturbed(blocks, [1, 1])] == [False, True, True, False]


def test_an_outlier_counts_as_a_pair_at_the_fence():
    logs = np.array([0.05, 0.06, 0.04, 0.03, 0.07, 0.45])
    ratios = Ratios(logs, fenced=True)
    cut = logs - np.median(logs)
    fence = 2 * np.median(np.abs(cut))
    assert ratios.weight == pytest.approx(5 + fence / cut[-1])
    assert ratios.mean == pytest.approx(np.median(logs) + np.clip(cut, -fence, fence).mean() / (5 / 6))
    assert ratios.mean == Ratios(np.array([*logs[:-1], 4.5]), fenced=True).mean
    assert Ratios(logs).mean == pytest.approx(logs.mean())


def test_no_pair_is_cut_if_most_are_equal():
    assert Ratios(np.array([0.1, 0.1, 0.1, 0.4]), fenced=True).mean == pytest.approx(0.175)
    assert Ratios(np.array([0.0, 0.0]), fenced=True).weight == 2.0


def test_unfenced_all_pairs_count_alike():
    logs = np.random.default_rng(1).normal(0.05, 0.02, 12)
    ratios = Ratios(logs)
    assert (ratios.mean, ratios.spread) == pytest.approx((logs.mean(), logs.std(ddof=1)))
    assert ratios.weight == pytest.approx(12)
    assert ratios.ratio == bootstrap_interval(logs).exp()


@pytest.mark.parametrize(("tails", "width", "error"), [(False, 1.1, 1.1), (True, 0.75, 0.6)])
@pytest.mark.parametrize("pairs", [8, 15])
def test_down_weighting_makes_a_ratio_with_outliers_more_precise(tails, width, error, pairs):
    """And hardly less precise if pairs are normal; the interval covers it in both cases."""
    rng = np.random.default_rng(0)
    covered, widths, fenced, plain = 0, [], [], []
    for _ in range(400):
        logs = 0.05 + rng.normal(0, 0.02, pairs)
        if tails:
            logs += (rng.random(pairs) < 0.15) * rng.normal(0, 0.2, pairs)
        ratios = Ratios(logs, fenced=True)
        ratio, alike = ratios.ratio, bootstrap_interval(logs).exp()
        covered += ratio.around(math.exp(0.05))
        widths.append(math.log(ratio.high / ratio.low) / math.log(alike.high / alike.low))
        fenced.append(ratios.mean)
        plain.append(logs.mean())
    assert 356 <= covered <= 398  # 95 % of 400 is 380
    assert abs(np.mean(fenced) - 0.05) < 0.003
    assert np.std(fenced) < error * np.std(plain)
    assert np.median(widths) < width
