"""Trainings over seeds, made up: what passes, how many are made, and what chance decides."""

import math
import time
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from harness.core.plugins import registry
from harness.core.training.measures import ACCURACY, Measure
from harness.timing.environments.suite import Limits
from harness.timing.gate import trainings
from harness.timing.gate.record import SeedScores
from harness.timing.gate.training_worker import Curve
from harness.timing.gate.trainings import Rule, compare_trainings, judge, seed_scores, tries_of

LIMITS = Limits(max_accuracy_loss=0.01)
ERROR = Measure("loss", "error", "", 1.0, higher_is_better=False, margin=0.05, relative=True)


def curve(*values, key="accuracy"):
    return Curve([{key: value} for value in values])


def row(seed=0, *, base=0.9, head=0.9):
    return SeedScores(seed=seed, base=base, head=head)


def judged(rows, limits=LIMITS, tries=2, worse_level=0.01):
    return judge(rows, Rule(ACCURACY, limits, tries, worse_level))


def told(rows):
    result = judged(rows)
    return result.verdict, list(map(str, result.reasons))


def verdict(rows, limits=LIMITS, tries=2):
    return judged(rows, limits, tries).verdict


def test_the_score_of_a_seed_is_that_of_the_best_epoch():
    base, head = curve(0.5, 0.9, 0.8), curve(None, math.nan, 0.7)
    scores = seed_scores(5, base, head, ACCURACY)
    assert (scores.seed, scores.base, scores.head) == (5, 0.9, 0.7)
    of_a_loss = seed_scores(0, curve(3.0, 1.0, 2.0, key="loss"), curve(None, math.inf, key="loss"), ERROR)
    assert (of_a_loss.base, of_a_loss.head) == (1.0, None)


# The rule over several seeds.


def test_equal_training_passes():
    assert judged([row(seed) for seed in range(3)]) == ("PASS", ())


def test_a_loss_fails_with_its_estimate_and_limit():
    result = judged([row(seed, head=0.85 + 0.001 * seed) for seed in range(5)])
    (reason,) = result.reasons
    assert (result.verdict, str(reason)) == ("FAIL", "accuracy lost 4.80 [4.60, 5.00] %, limit 1 % (5 seeds)")


def test_a_training_that_diverged_has_no_score_however_good_it_was_before():
    base, diverged = curve(0.9, 0.905, 0.908), curve(0.903, 0.0, 0.0)._replace(diverged=True)
    rows = [[seed_scores(seed, each, diverged, ACCURACY) for seed in range(3)] for each in (base, diverged)]
    assert told(rows[0]) == ("FAIL", ["head diverged on seed 0, and base did not"])
    assert told(rows[1]) == (
        "INVALID",
        ["base diverged on seed 0, so there is nothing to compare head with"],
    )


def test_an_interval_beyond_the_limit_speaks_against_head():
    result = judged([row(seed, head=0.85 + 0.01 * seed) for seed in range(3)], tries=1, worse_level=1e-4)
    assert result.verdict == "INCONCLUSIVE"
    (reason,) = result.reasons
    assert ("beyond the limit" in reason.text, reason.blocks_pass) == (True, True)


def test_seeds_that_cannot_be_compared_are_invalid():
    rows = [row(seed) for seed in range(3)]
    assert verdict([*rows, row(3, base=None)]) == "INVALID"
    assert verdict([*rows, row(3, head=None)]) == "FAIL"
    assert told(rows[:2]) == ("INVALID", ["the budget was spent after 2 seeds, too few to compare"])


def test_the_level_is_shared_by_the_tries():
    assert tries_of(3) == [3]
    assert tries_of(5) == [3, 5]
    assert tries_of(20) == [3, 6, 12, 20]
    rows = [row(seed, head=0.9 - 0.004 * (seed % 2)) for seed in range(3)]
    assert verdict(rows, tries=1) == "PASS"
    assert verdict(rows, tries=8) == "INCONCLUSIVE"


# How many seeds are trained.


@pytest.fixture
def trained(monkeypatch):
    """Trains nothing: accuracies are drawn, those of head around ``mean``. Returns the seeds used."""
    rng = np.random.default_rng(3)
    made = []

    def stand_in(mean, spread):
        def scores(seed, *_):
            made.append(seed)
            return row(seed, head=rng.normal(mean, spread))

        monkeypatch.setattr(trainings, "_train", lambda *_: None)
        monkeypatch.setattr(trainings, "seed_scores", scores)
        return made

    return stand_in


def over_seeds(seeds, deadline=math.inf, epochs=3):
    mlp = registry.task("mlp")
    task = msgspec.structs.replace(mlp.define(mlp.options()), epochs=epochs)
    workload = SimpleNamespace(task=task)
    pair = [workload, workload]
    return compare_trainings(pair, "made up", LIMITS, 0.01, range(seeds), deadline, lambda _line: None)


def test_seeds_are_trained_until_head_is_shown_to_be_no_worse(trained):
    made = trained(0.9, 0.0)
    assert over_seeds(20).verdict == "PASS"
    assert made == [0, 1, 2]
    made.clear()
    trained(0.87, 0.001)
    assert over_seeds(6).verdict == "FAIL"
    assert made == [0, 1, 2, 3, 4, 5]


def test_no_training_starts_after_the_deadline(trained):
    made = trained(0.9, 0.0)
    result = over_seeds(5, deadline=time.monotonic() - 1)
    assert (result.verdict, made) == ("INVALID", [])
    assert "after 0 seeds" in result.reasons[0].text


@pytest.mark.parametrize(
    ("mean", "word", "most"), [(0.89, "PASS", 0.065), (0.9, "FAIL", 0.012)], ids=["at its limit", "as good"]
)
def test_chance_alone_seldom_decides(trained, mean, word, most):
    trained(mean, 0.01)
    verdicts = [over_seeds(20).verdict for _ in range(1000)]
    assert verdicts.count(word) <= most * len(verdicts)
