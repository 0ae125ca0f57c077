"""Each workload is verified in one of its first pairs, then in turn in a share of the time."""

import collections

import pytest

from harness.core.audit.audit import PairAudit
from harness.core.audit.budgets import FIRST_PAIRS


def pair(verified, seconds):
    return [seconds if one in verified else None for one in (0, 1)]


def test_each_is_verified_in_one_of_the_first_pairs_which_is_not_known_before():
    first = collections.Counter()
    for _ in range(300):
        budget, verified = PairAudit(), {}
        for number in range(FIRST_PAIRS):
            chosen = budget.chosen([1, 0])
            verified |= dict.fromkeys(chosen - verified.keys(), number)
            budget.add(pair(chosen, seconds=1.0), 1.0)
        assert verified.keys() == {0, 1}
        first.update(verified.values())

    # A share of 1/3 each: 200 of 600, with a standard deviation of 11.5.
    assert all(130 < first[number] < 270 for number in range(FIRST_PAIRS)), first


def test_then_one_at_a_time_in_turn_while_there_is_time():
    budget = PairAudit()
    budget.add(pair({0, 1}, seconds=0.01), 30.0)
    chosen = []
    for _ in range(4):
        chosen.append(budget.chosen([1, 0]))
        budget.add(pair(chosen[-1], seconds=0.01), 30.0)

    assert sorted(map(sorted, chosen)) == [[0], [0], [1], [1]]


def test_none_while_verification_has_used_its_share():
    budget = PairAudit()
    budget.add(pair({0, 1}, seconds=2.0), 30.0)

    assert budget.chosen([0, 1]) == set()
    for _ in range(6):
        budget.add(pair(set(), seconds=0.0), 30.0)
    assert len(budget.chosen([0, 1])) == 1


@pytest.mark.parametrize("pairs", [1, 2])
def test_each_is_verified_where_fewer_pairs_are_made(pairs):
    for _ in range(20):
        budget, verified = PairAudit(pairs), set()
        for _ in range(pairs):
            chosen = budget.chosen([1, 0])
            verified |= chosen
            budget.add(pair(chosen, seconds=1.0), 1.0)
        assert verified == {0, 1}
