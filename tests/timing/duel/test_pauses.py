"""Pauses that fall into a few blocks count, if they belong to a configuration and not to the machine."""

import numpy as np
import pytest
from support.made_pairs import changed_block, compare, noisy_pairs, with_pauses

from harness.core.stats.estimate import Estimate
from harness.timing.duel import verdict
from harness.timing.engine import ratios
from harness.timing.engine.ratios import log_ratio


@pytest.mark.parametrize(("index", "word"), [(1, "slower"), (0, "faster")])
def test_pauses_of_one_configuration_are_no_hiccups(index, word):
    """Every fiftieth step of one configuration saves a checkpoint: five blocks in six do not show it."""
    rng = np.random.default_rng(3)
    pairs = [with_pauses(rng, each, index) for each in noisy_pairs(rng, 1.0, 0.01, 20, turns=10)]
    assert abs(np.median([log_ratio(each, 1, [1, 1]) for each in pairs])) < 0.02
    result = compare(pairs)
    assert (result.verdict, result.uneven) == (word, True)
    assert result.ratio.value ** (1 if index else -1) == pytest.approx(1 + 0.15 * 0.34 / 0.1, rel=0.1)


def test_pauses_in_few_pairs_prevent_the_verdict_same():
    """A pause every ten seconds, say, which a third of the pairs have in one of their blocks."""
    rng = np.random.default_rng(3)
    pairs = noisy_pairs(rng, 1.0, 0.002, 12, turns=10)
    assert compare(pairs).verdict == "same"
    pairs[::3] = [with_pauses(rng, each, 1, share=0.3) for each in pairs[::3]]
    result = compare(pairs)
    assert (result.verdict, result.uneven) == ("undecided", False)
    assert result.pairs_wanted > 1


def test_faster_between_pauses_and_slower_with_them_is_undecided():
    rng = np.random.default_rng(3)
    pairs = noisy_pairs(rng, 0.97, 0.002, 12, turns=10)
    assert compare(pairs).verdict == "faster"
    for place in range(0, 12, 3):  # a second, in one block of each
        pairs[place] = changed_block(pairs[place], 1, 3, seconds=1.1)
    result = compare(pairs)
    assert (result.verdict, result.uneven, result.ratio.value < 1) == ("undecided", False, True)
    assert result.reason == "contradicted"


def test_a_verdict_does_not_stay_while_all_blocks_contradict_it():
    rng = np.random.default_rng(3)
    pairs = noisy_pairs(rng, 0.92, 0.01, 24, turns=10)
    reached = None
    for made in range(10, 25):
        if made > 12 and made % 2:  # pauses begin
            pairs[made - 1] = changed_block(pairs[made - 1], 1, 3, seconds=1.1)
        now = compare(pairs[:made])
        reached = verdict.latest(reached, now)
        result = verdict.kept(reached, now)
        assert result.verdict == ("undecided" if now.contradicted else "faster")
    assert now.contradicted
    assert result.reason == "contradicted"


def test_one_second_in_which_the_machine_stood_still_does_not_prevent_the_verdict_same():
    pairs = noisy_pairs(np.random.default_rng(3), 1.0, 0.002, 12, turns=10)
    pairs[4] = changed_block(pairs[4], 0, 3, seconds=1.1)
    result = compare(pairs)
    assert (result.verdict, result.uneven) == ("same", False)


def test_pauses_of_both_configurations_keep_the_level(monkeypatch):
    """All blocks count then, and the test has its level of 0.02."""
    # No verdict rests on intervals, and they would take most of the time.
    monkeypatch.setattr(
        ratios, "bootstrap_interval", lambda logs: Estimate(float(logs.mean()), None, None, len(logs))
    )
    rng = np.random.default_rng(3)
    results = [
        compare([with_pauses(rng, each, None) for each in noisy_pairs(rng, 1.0, 0.02, 10, turns=10)])
        for _ in range(400)
    ]
    assert sum(each.uneven for each in results) > 300
    called = sum(each.verdict in {"faster", "slower"} for each in results)
    assert called <= 17  # 8 are expected, and more in 1 of 300 cases
