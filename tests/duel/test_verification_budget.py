"""Each workload is verified once; then those whose turn it is, within a share of the time."""

import msgspec
from support.made_pairs import PROCESS

from harness.duel.verification_budget import VerificationBudget
from harness.testing.replay import Verification


def pair(verified, seconds):
    work = Verification(outcome="verified", seconds=seconds)
    return [
        msgspec.structs.replace(PROCESS, verification=work if one in verified else None) for one in (0, 1)
    ]


def test_all_are_verified_in_their_first_pair():
    budget = VerificationBudget()

    assert budget.chosen([1, 0]) == {0, 1}


def test_then_one_at_a_time_in_turn_while_there_is_time():
    budget = VerificationBudget()
    budget.add(pair({0, 1}, seconds=0.01), 30.0)
    chosen = []
    for _ in range(4):
        chosen.append(budget.chosen([1, 0]))
        budget.add(pair(chosen[-1], seconds=0.01), 30.0)

    assert sorted(map(sorted, chosen)) == [[0], [0], [1], [1]]


def test_none_while_verification_has_used_its_share():
    budget = VerificationBudget()
    budget.add(pair({0, 1}, seconds=2.0), 30.0)

    assert budget.chosen([0, 1]) == set()
    for _ in range(6):
        budget.add(pair(set(), seconds=0.0), 30.0)
    assert len(budget.chosen([0, 1])) == 1
