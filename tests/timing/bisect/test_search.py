"""The posterior of a noisy binary search, the probes that it asks for, and when it names a culprit."""

import math

import numpy as np
import pytest

from harness.timing.bisect.search import LEAST_SCALE, Search, exact_search


def searched(last, culprit, effect, noise, seed, skipped=()):
    """A search to its end on made-up values: the culprits, and the number of values."""
    chance = np.random.default_rng(seed)
    search = Search(last)
    search.add(0, chance.normal(0, noise, 4).tolist())
    search.add(last, chance.normal(effect, noise, 4).tolist())
    made = 4
    while search.culprits[1] < 0.95 and made < 100:
        probe = search.next_probe()
        if probe in skipped:
            search.skip(probe)
            continue
        search.add(probe, [chance.normal(effect if probe >= culprit else 0.0, noise)])
        made += 1
    return search.culprits[0], made


def test_the_culprit_is_found_nearly_always():
    right, pairs = 0, []
    for seed in range(40):
        culprit = 1 + 13 * seed % 64
        culprits, made = searched(64, culprit, math.log(1.05), 0.02, seed)
        right += list(culprits) == [culprit]
        pairs.append(made)
    assert right >= 38
    assert np.median(pairs) < 40


def test_a_gain_is_searched_like_a_loss():
    culprits, _ = searched(16, 7, -0.3, 0.02, 0)
    assert list(culprits) == [7]


def test_skipped_candidates_stay_possible_together():
    culprits, _ = searched(32, 12, 0.3, 0.02, 1, skipped={11, 12})
    assert list(culprits) == [11, 12, 13]


def test_the_posterior_is_that_of_all_values_under_each_culprit():
    """With one effect that is all but known, Bayes's rule is three products."""
    search = Search(3)
    search.add(3, [0.3] * 200)
    search.add(1, [0.0])
    search.add(2, [0.3])
    posterior = search.posterior
    assert posterior.sum() == pytest.approx(1)

    def student(value, centre):
        return (1 + ((value - centre) / LEAST_SCALE) ** 2 / 2) ** -1.5

    first, second = (student(0, 0), student(0, 0.3)), (student(0.3, 0), student(0.3, 0.3))
    expected = np.array([first[1] * second[1], first[0] * second[1], first[0] * second[0]])
    assert posterior == pytest.approx(expected / expected.sum(), rel=0.05)


def test_the_first_probe_is_in_the_middle():
    search = Search(64)
    search.add(64, [0.3, 0.3, 0.3])
    assert search.next_probe() == 32
    search.skip(32)
    assert search.next_probe() in {31, 33}


def test_the_noise_is_that_of_equal_candidates():
    search = Search(2)
    search.add(0, [0.0, 0.1, -0.1, 0.05, -0.05])
    search.add(2, [1.0])
    assert search.scale == pytest.approx(1.4826 * 0.05 * math.sqrt(5 / 4))
    assert Search(2).scale == LEAST_SCALE


def test_a_candidate_between_both_levels_is_named():
    search = Search(8)
    search.add(0, [0.0, 0.01, -0.01, 0.0])
    search.add(8, [0.4, 0.41, 0.39, 0.4])
    search.add(4, [0.2, 0.21, 0.19, 0.2])
    assert search.at_neither_level() == [4]


@pytest.mark.parametrize("culprit", range(1, 10))
def test_without_noise_each_culprit_is_found(culprit):
    same, probe = {9: False}, 9
    while probe is not None:
        same[probe] = probe < culprit
        candidates, probe = exact_search(same, 9, ())
    assert list(candidates) == [culprit]
    assert len(same) <= 5


def test_without_noise_skipped_candidates_stay_possible():
    candidates, probe = exact_search({9: False, 3: True, 6: False}, 9, {4, 5})
    assert (list(candidates), probe) == ([4, 5, 6], None)
