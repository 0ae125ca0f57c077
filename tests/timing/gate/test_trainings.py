"""Trainings over seeds, made up: their targets, what passes, how many are made, and what chance decides."""

import math
import time
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from harness.core.plugins import registry
from harness.core.stats.estimate import Estimate
from harness.core.training.measures import ACCURACY, Measure
from harness.timing.environments.suite import Limits
from harness.timing.gate import reasons, trainings
from harness.timing.gate.reasons import speaks_against_head
from harness.timing.gate.record import SeedScores
from harness.timing.gate.training_worker import Curve
from harness.timing.gate.trainings import Rule, compare_trainings, judge, seed_scores, tries_of

LIMITS = Limits(max_accuracy_loss=0.01, max_extra_steps=0.25)
ERROR = Measure("loss", "error", "", 1.0, higher_is_better=False, margin=0.05, relative=True)
SCORE_ONLY = Limits(max_accuracy_loss=0.01, max_extra_steps=None)


def curve(*values, key="accuracy"):
    return Curve([10 * (epoch + 1) for epoch in range(len(values))], [{key: value} for value in values])


def row(seed=0, *, base=0.9, head=0.9, steps=(100, 100), head_steps=400):
    return SeedScores(
        seed=seed,
        base=base,
        head=head,
        base_steps_to_target=steps[0],
        head_steps_to_target=steps[1],
        head_steps=head_steps,
    )


def judged(rows, limits=LIMITS, tries=2, worse_level=0.01):
    return judge(rows, Rule(ACCURACY, limits, tries, worse_level))


def verdict(rows, limits=LIMITS, tries=2):
    return judged(rows, limits, tries).verdict


# The scores of one seed: the common target, and the steps at which base and head reached it.


@pytest.mark.parametrize(
    ("base", "head", "best", "steps"),
    [
        # What both had by half of their epochs minus the loss allowed; between two scores it is interpolated.
        ((0.5, 0.71, 0.85, 0.9), (0.6, 0.7, 0.791, 0.9), (0.9, 0.9), (20, 19)),
        ((0.7, 0.8, 0.9, 0.9), (0.6, 0.71, 0.78, 0.78), (0.9, 0.78), (10, 20)),
        ((0.2, 0.91, 0.9, 0.9), (0.2, 0.71, 0.9, 0.9), (0.91, 0.9), (18, 20)),
        ((0.7, 0.8), (None, None), (0.8, None), (10, None)),
        ((None, math.inf), (0.5, math.nan), (None, 0.5), (None, 10)),  # what is not finite is none
    ],
)
def test_the_steps_to_the_common_target(base, head, best, steps):
    scores = seed_scores(5, curve(*base), curve(*head), ACCURACY, LIMITS)
    assert (scores.base, scores.head) == best
    assert (scores.base_steps_to_target, scores.head_steps_to_target) == steps
    assert (scores.head_steps, scores.first_steps) == (10 * len(head), (10, 10))


def test_of_a_loss_less_is_better_and_the_loss_allowed_is_a_share():
    base, head = curve(3.03, 2.0, 1.0, 1.0, key="loss"), curve(4.0, 3.0, 2.01, 1.0, key="loss")
    scores = seed_scores(0, base, head, ERROR, LIMITS)
    assert (scores.base_steps_to_target, scores.head_steps_to_target) == (10, 20)


# The rule over several seeds.


def test_equal_training_passes():
    assert judged([row(seed) for seed in range(3)]) == ("PASS", ())


def test_a_loss_fails_with_its_estimate_and_limit():
    result = judged([row(seed, head=0.85 + 0.001 * seed) for seed in range(5)])
    (reason,) = result.reasons
    assert (result.verdict, reason.measure, reason.limit) == ("FAIL", "accuracy", 0.01)
    assert reason.lost == Estimate(
        pytest.approx(0.048), pytest.approx(0.046, abs=5e-5), pytest.approx(0.05, abs=5e-5), 5
    )


def test_slower_learning_fails_if_steps_are_judged():
    slow = [row(seed, steps=(100, 190 + seed)) for seed in range(5)]
    result = judged(slow)
    (reason,) = result.reasons
    assert (result.verdict, reason.limit, reason.extra.n) == ("FAIL", 0.25, 5)
    assert (reason.extra.value, reason.extra.low) == (
        pytest.approx(0.9199, abs=1e-4),
        pytest.approx(0.9004, abs=1e-4),
    )
    assert verdict(slow, SCORE_ONLY) == "PASS"


def test_a_training_that_diverged_has_no_score_however_good_it_was_before():
    base, diverged = curve(0.9, 0.905, 0.908), curve(0.903, 0.0, 0.0)._replace(diverged=True)
    assert judged(over(base, diverged, 3)) == ("FAIL", (reasons.Diverged(label="head", seed=0),))
    assert judged(over(diverged, diverged, 3)) == ("INVALID", (reasons.Diverged(label="base", seed=0),))


FLAT = curve(0.9, 0.9, 0.9)


def over(base, head, seeds=5):
    """The rows of seeds; ``head`` may be a function of the seed."""
    return [
        seed_scores(seed, base, head(seed) if callable(head) else head, ACCURACY, LIMITS)
        for seed in range(seeds)
    ]


def test_a_target_that_base_reached_by_its_first_score_can_only_fail():
    """Head may have taken up to an epoch, and base any part of one."""
    early = reasons.TargetAtFirstScore(label="base", reached=3, seeds=3)
    assert judged(over(FLAT, FLAT, seeds=3)) == ("INVALID", (early,))
    slow = over(FLAT, lambda seed: curve(0.1, 0.89, 0.9 + 0.001 * seed))
    assert [row.head_steps_to_target for row in slow] == [20] * 5
    assert verdict(slow) == "FAIL"


def test_a_head_that_reached_the_target_by_its_first_score_cannot_fail_by_its_steps():
    """Its batches are half as large, so an epoch has twice the steps; how many it needed is unknown."""
    result = judged(over(FLAT, FLAT._replace(steps=[20, 40, 60])))
    assert result.verdict == "INVALID"
    assert result.reasons[-1] == reasons.TargetAtFirstScore(label="head", reached=5, seeds=5)


def test_an_interval_beyond_the_limit_speaks_against_head():
    result = judged([row(seed, head=0.85 + 0.01 * seed) for seed in range(3)], tries=1, worse_level=1e-4)
    assert result.verdict == "INCONCLUSIVE"
    assert result.reasons[-1] == reasons.BeyondLimit()
    assert any(map(speaks_against_head, result.reasons))


def test_one_seed_that_misses_the_target_proves_nothing_and_speaks_against_head():
    rows = [row(seed) for seed in range(4)] + [row(4, steps=(100, None))]
    result = judged(rows)
    assert result.verdict == "INCONCLUSIVE"
    assert reasons.TargetMissed(missed=1, seeds=5) in result.reasons
    assert any(map(speaks_against_head, result.reasons))
    assert verdict([row(seed, steps=(100, None)) for seed in range(5)]) == "FAIL"


def test_seeds_that_cannot_be_compared_are_invalid():
    rows = [row(seed) for seed in range(3)]
    assert verdict([*rows, row(3, base=None)]) == "INVALID"
    assert verdict([*rows, row(3, head=None)]) == "FAIL"
    assert judged(rows[:2]) == ("INVALID", (reasons.TooFewSeeds(seeds=2),))
    never = [row(seed, steps=(None, 100)) for seed in range(3)]
    assert judged(never) == ("INVALID", (reasons.TargetRarelyReached(seeds=0),))


def test_beside_invalid_steps_stands_why_the_score_is_undecided():
    rows = [row(seed, head=0.85 + 0.01 * seed, steps=(None, 100)) for seed in range(3)]
    result = judged(rows, tries=1, worse_level=1e-4)
    assert result.verdict == "INVALID"
    assert reasons.TargetRarelyReached(seeds=0) in result.reasons
    assert [type(reason) for reason in result.reasons[:2]] == [reasons.ScoreLost, reasons.BeyondLimit]


def test_the_level_is_shared_by_the_tries():
    assert tries_of(3) == [3]
    assert tries_of(5) == [3, 5]
    assert tries_of(20) == [3, 6, 12, 20]
    rows = [row(seed, head=0.9 - 0.004 * (seed % 2)) for seed in range(3)]
    assert verdict(rows, tries=1) == "PASS"
    assert verdict(rows, tries=8) == "INCONCLUSIVE"


def test_a_head_that_learns_as_base_does_hardly_ever_fails_however_noisy_the_scores():
    """A target picked among base's scores alone failed 10 % of these by their steps."""
    chance = np.random.default_rng(2)
    learnt = 0.95 - 0.6 * np.exp(-np.arange(1, 11) / 2)

    def drawn():
        return curve(*(learnt + chance.normal(0, 0.02, 10)))

    failed = 0
    for _ in range(200):
        rows = [seed_scores(seed, drawn(), drawn(), ACCURACY, LIMITS) for seed in range(20)]
        failed += verdict(rows, tries=4) == "FAIL"
    assert failed <= 6


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


def test_trainings_of_two_epochs_cannot_show_the_steps_to_a_target(trained):
    """Half of them is the first, by which both have trivially reached the target: any head would pass."""
    made = trained(0.9, 0.0)
    result = over_seeds(20, epochs=2)
    too_few = reasons.TooFewEpochs(epochs=2, needed=3)
    assert (result.verdict, result.reasons, made) == ("INVALID", [too_few], [])


def test_no_training_starts_after_the_deadline(trained):
    made = trained(0.9, 0.0)
    result = over_seeds(5, deadline=time.monotonic() - 1)
    assert (result.verdict, result.reasons, made) == ("INVALID", [reasons.TooFewSeeds(seeds=0)], [])


@pytest.mark.parametrize(
    ("mean", "word", "most"), [(0.89, "PASS", 0.065), (0.9, "FAIL", 0.012)], ids=["at its limit", "as good"]
)
def test_chance_alone_seldom_decides(trained, mean, word, most):
    trained(mean, 0.01)
    verdicts = [over_seeds(20).verdict for _ in range(1000)]
    assert verdicts.count(word) <= most * len(verdicts)
