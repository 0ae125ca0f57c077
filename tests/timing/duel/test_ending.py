"""When a duel ends, on made-up records: decided, out of time, or out of pairs."""

import types

import pytest

from harness.core.stats.estimate import Estimate
from harness.timing.duel.ending import stop_reason
from harness.timing.duel.record import DuelResult
from harness.timing.engine.pairs import PairTime


def result(verdict="undecided", *, half_width=0.5, pairs=10):
    ratio = Estimate(1.4, 1.4 / (1 + half_width), 1.4 * (1 + half_width), pairs)
    return DuelResult(
        configuration="b",
        reference="a",
        verdict=verdict,
        pairs=pairs,
        ratio=ratio,
        p_value=0.5,
        spread=0.1,
    )


def duel(*results, pairs=10, seconds=100.0):
    return types.SimpleNamespace(pairs=[None] * pairs, results=list(results), seconds=seconds, margin=0.02)


def reason_of(record, budget=None):
    return stop_reason(types.SimpleNamespace(budget_seconds=budget), record, pair_seconds=10.0)


@pytest.mark.parametrize(
    ("budget", "pairs", "seconds", "reason"),
    [
        (None, 10, 880.0, None),
        (None, 10, 895.0, "budget spent"),
        (60.0, 3, 49.0, None),
        (60.0, 3, 51.0, "budget spent"),
        (6000.0, 10, 895.0, None),
        (None, 40, 100.0, "most pairs"),
    ],
)
def test_no_pair_is_started_that_would_end_too_late(budget, pairs, seconds, reason):
    assert reason_of(duel(result(), pairs=pairs, seconds=seconds), budget) == reason


def test_a_duel_ends_once_all_is_decided_and_known():
    known, wide = result("slower", half_width=0.05), result("slower")
    assert reason_of(duel(known, known)) == "decided"
    assert reason_of(duel(known, wide)) is None
    assert reason_of(duel(known, wide, seconds=301.0)) == "verdicts in"
    assert reason_of(duel(known, wide, seconds=301.0), 3600.0) is None


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
