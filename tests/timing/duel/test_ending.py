"""When a duel ends, on made-up records: decided, out of time, out of pairs, or hopeless."""

import types

import pytest

from harness.core.stats.estimate import Estimate
from harness.timing.duel import runner
from harness.timing.duel.record import DuelResult
from harness.timing.engine.outlook import advised_budget
from harness.timing.engine.pairs import PairTime


def result(verdict="undecided", *, half_width=0.5, wanted=None, pairs=10):
    ratio = Estimate(1.4, 1.4 / (1 + half_width), 1.4 * (1 + half_width), pairs)
    return DuelResult(
        configuration="b",
        reference="a",
        verdict=verdict,
        pairs=pairs,
        ratio=ratio,
        p_value=0.5,
        spread=0.1,
        pairs_wanted=wanted,
    )


def duel(*results, pairs=10, seconds=100.0):
    return types.SimpleNamespace(pairs=[None] * pairs, results=list(results), seconds=seconds, margin=0.02)


def asked(budget=None, fewest=0):
    return types.SimpleNamespace(budget_seconds=budget, fewest_pairs=fewest)


@pytest.mark.parametrize(
    ("budget", "pairs", "seconds", "reason"),
    [
        (None, 10, 880.0, None),
        (None, 10, 895.0, "time spent"),
        (60.0, 3, 49.0, None),
        (60.0, 3, 51.0, "budget spent"),
        (6000.0, 10, 895.0, None),
        (None, 40, 100.0, "most pairs"),
    ],
)
def test_no_pair_is_started_that_would_end_too_late(budget, pairs, seconds, reason):
    assert runner.out_of_time(asked(budget), duel(pairs=pairs, seconds=seconds), 10.0) == reason


@pytest.mark.parametrize(
    ("made", "seconds", "goes_on"),
    [
        (3, 55.0, True),  # one pair is missing, and ends 5 s after the budget
        (3, 79.0, True),
        (3, 81.0, False),  # it would end later than after one and a half budgets
        (1, 55.0, True),
        (1, 61.0, False),  # three are missing, for which the time does not suffice
        (4, 55.0, False),
    ],
)
def test_a_duel_goes_on_for_the_fewest_pairs_of_a_verdict(made, seconds, goes_on):
    reason = runner.out_of_time(asked(60.0, 4), duel(pairs=made, seconds=seconds), 10.0)
    assert reason == (None if goes_on else "budget spent")
    shorter = runner.out_of_time(asked(60.0), duel(pairs=made, seconds=seconds), 10.0)
    assert shorter == "budget spent"  # the search for the fastest mode needs no verdict


@pytest.mark.parametrize(("needed", "advised"), [(30.0, 40.0), (70.0, 90.0), (85.0, 120.0), (175.0, 240.0)])
def test_the_budget_that_is_advised_suffices_where_pairs_take_longer_than_predicted(needed, advised):
    assert advised_budget(needed) == advised
    spent, pair_seconds = needed / 5, needed / 5  # a trial and four pairs, a third slower than predicted
    made, seconds = 0, spent
    while runner.out_of_time(asked(advised, 4), duel(pairs=made, seconds=seconds), pair_seconds) is None:
        pair_seconds = 4 / 3 * needed / 5
        made, seconds = made + 1, seconds + pair_seconds
    assert made >= 4


def test_a_duel_ends_once_all_is_decided_and_known():
    known, wide = result("slower", half_width=0.05), result("slower")
    assert runner.no_longer_needed(asked(), duel(known, known), 10.0) == "decided"
    assert runner.no_longer_needed(asked(), duel(known, wide), 10.0) is None
    assert runner.no_longer_needed(asked(), duel(known, wide, seconds=301.0), 10.0) == "verdicts in"
    assert runner.no_longer_needed(asked(3600.0), duel(known, wide, seconds=301.0), 10.0) is None


@pytest.mark.parametrize(
    ("wanted", "pairs", "pair_seconds", "reason"),
    [(40, 10, 20.0, None), (90, 10, 20.0, "hopeless"), (90, 9, 20.0, None), (20, 10, 100.0, "hopeless")],
)
def test_it_ends_where_a_verdict_would_take_far_longer(wanted, pairs, pair_seconds, reason):
    undecided = duel(result(wanted=wanted), result("slower"), pairs=pairs)
    assert runner.no_longer_needed(asked(), undecided, pair_seconds) == reason
    assert runner.no_longer_needed(asked(3600.0), undecided, pair_seconds) is None


def test_the_time_left_is_that_of_the_pairs_to_come_and_never_more_than_there_is():
    assert runner.outlook(asked(), duel(result(wanted=3)), 10.0).seconds == 30.0
    assert runner.outlook(asked(), duel(result(wanted=500)), 10.0).seconds == 300.0
    assert runner.outlook(asked(125.0), duel(result(wanted=3)), 10.0).seconds == 20.0
    assert runner.outlook(asked(), duel(result("slower", half_width=0.02)), 10.0).seconds == 0.0
    assert 0 < runner.outlook(asked(), duel(result("slower", half_width=0.1)), 10.0).seconds < 50.0


def test_pairs_correct_the_time_that_the_trial_predicts():
    time = PairTime()
    time.prepared(10.0)
    assert time.seconds == 10.0
    verified = types.SimpleNamespace(verification=types.SimpleNamespace(seconds=8.0))
    plain = types.SimpleNamespace(verification=None)
    time.made(types.SimpleNamespace(seconds=28.0, processes=[verified, plain]))
    assert time.seconds == pytest.approx(20.0, rel=0.05)
    for seconds in (15.0, 15.0):
        time.made(types.SimpleNamespace(seconds=seconds, processes=[plain, plain]))
    assert time.seconds == pytest.approx(15.0, rel=0.05)
