"""The error that each look of a test may use."""

import pytest
from support.made_pairs import looks_of

from harness.stats.evidence import smallest_p_value


@pytest.mark.parametrize("end", [3, 7, 8, 9, 13, 27, 40])
def test_the_last_look_may_use_what_is_left_and_no_more(end):
    assert sum(looks_of(end).shares.values()) == pytest.approx(1.0)
    assert max(looks_of(end).shares) == end


@pytest.mark.parametrize("level", [0.02, 0.01 / 33, 0.001 / 4, 0.01 / 200])
@pytest.mark.parametrize("end", [18, 40])
def test_error_that_a_look_cannot_use_is_carried_over(end, level):
    """However many share the error, some look can detect what every pair shows."""
    levels = looks_of(end).levels(level)
    assert sum(levels.values()) == pytest.approx(level)
    assert all(at >= smallest_p_value(pairs, "less") for pairs, at in levels.items())


def test_most_of_the_error_is_left_for_the_end_and_what_hardly_varies_is_found_early():
    levels = looks_of(40).levels(0.02)
    assert min(levels) == 10
    assert levels[40] > 0.01


def test_lost_pairs_do_not_count_towards_looks():
    looks = looks_of(20, usable=[True] * 9 + [False] * 3 + [True] * 8)
    assert set(looks.shares) == {10, 14, 17}
    assert sum(looks.shares.values()) == pytest.approx(1.0)
