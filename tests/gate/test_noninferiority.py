"""Other maths over seeds, on made-up trainings: what passes, what fails, and how often chance does it."""

import math
import time
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from harness.gate import noninferiority
from harness.gate.learner import Curve
from harness.gate.noninferiority import Rule, judge, no_worse, seed_scores, tries_of
from harness.gate.record import SeedScores
from harness.gate.suite import Limits
from harness.plugins import registry
from harness.training.measures import ACCURACY, Measure

LIMITS = Limits(max_accuracy_loss=0.01, max_extra_steps=0.25)
ERROR = Measure("loss", "error", "", 1.0, higher_is_better=False, margin=0.05, relative=True)


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


def verdict(rows, limits=LIMITS, measure=ACCURACY, tries=2):
    return judge(rows, Rule(measure, limits, tries, 0.01))[:2]


def test_the_target_is_what_both_had_by_half_of_their_epochs_less_what_may_be_lost():
    found = seed_scores(5, curve(0.5, 0.71, 0.85, 0.9), curve(0.6, 0.7, 0.791, 0.9), ACCURACY, LIMITS)
    assert (found.base, found.head) == (0.9, 0.9)
    assert (found.base_steps_to_target, found.head_steps_to_target, found.head_steps) == (20, 19, 40)
    slower = seed_scores(5, curve(0.7, 0.8, 0.9, 0.9), curve(0.6, 0.71, 0.78, 0.78), ACCURACY, LIMITS)
    assert (slower.base_steps_to_target, slower.head_steps_to_target) == (10, 20)
    assert slower.first_steps == (10, 10)
    assert seed_scores(5, curve(0.7, 0.8), curve(None, None), ACCURACY, LIMITS).head_steps_to_target is None


def test_a_training_that_diverged_has_no_score_however_good_it_was_before():
    base, diverged = curve(0.9, 0.905, 0.908), curve(0.903, 0.0, 0.0)._replace(diverged=True)
    fallen = [seed_scores(seed, base, diverged, ACCURACY, LIMITS) for seed in range(3)]
    assert verdict(fallen) == ("FAIL", "head diverged on seed 0, and base did not")
    both = [seed_scores(seed, diverged, diverged, ACCURACY, LIMITS) for seed in range(3)]
    assert verdict(both)[0] == "INCONCLUSIVE"


def test_of_a_loss_less_is_better_and_what_may_be_lost_is_a_share():
    base, head = curve(3.03, 2.0, 1.0, 1.0, key="loss"), curve(4.0, 3.0, 2.01, 1.0, key="loss")
    found = seed_scores(0, base, head, ERROR, LIMITS)
    assert (found.base_steps_to_target, found.head_steps_to_target) == (10, 20)


def test_between_two_scores_a_straight_line_tells_when_the_target_was_reached():
    base, head = curve(0.2, 0.91, 0.9, 0.9), curve(0.2, 0.71, 0.9, 0.9)
    found = seed_scores(0, base, head, ACCURACY, LIMITS)
    assert (found.base_steps_to_target, found.head_steps_to_target) == (18, 20)


def test_a_target_that_base_had_by_its_first_score_can_only_fail():
    """Head may have taken up to an epoch, and base any part of one."""
    rows = [
        seed_scores(seed, curve(0.9, 0.9, 0.9), curve(0.9, 0.9, 0.9), ACCURACY, LIMITS) for seed in range(3)
    ]
    found, reason = verdict(rows)
    assert found == "INCONCLUSIVE"
    assert reason.startswith("base had come to it by its first score on 3 of 3 seeds: give more epochs")
    assert judge(rows, Rule(ACCURACY, LIMITS, 2, 0.01)).unsound
    slow = [
        seed_scores(seed, curve(0.9, 0.9, 0.9), curve(0.1, 0.89, 0.9 + 0.001 * seed), ACCURACY, LIMITS)
        for seed in range(5)
    ]
    assert [row.head_steps_to_target for row in slow] == [20] * 5
    assert verdict(slow)[0] == "FAIL"


def test_a_head_that_was_there_by_its_own_first_score_cannot_fail_by_its_steps():
    """Its batches are half as large, so an epoch is twice the steps; how many of them it took nobody saw."""
    halved = curve(0.9, 0.9, 0.9)._replace(steps=[20, 40, 60])
    rows = [seed_scores(seed, curve(0.9, 0.9, 0.9), halved, ACCURACY, LIMITS) for seed in range(5)]
    found = judge(rows, Rule(ACCURACY, LIMITS, 2, 0.01))
    assert (found.verdict, found.unsound) == ("INCONCLUSIVE", True)
    assert "head had come to it by its first score on 5 of 5 seeds" in found.reason


def test_what_speaks_against_head_is_never_folded_into_a_pass():
    rows = [row(seed, head=0.85 + 0.01 * seed) for seed in range(3)]
    found = judge(rows, Rule(ACCURACY, LIMITS, 1, 1e-4))
    assert (found.verdict, found.against) == ("INCONCLUSIVE", True)


def test_a_head_that_learns_as_base_does_hardly_ever_fails_however_noisy_the_scores():
    """A target picked among base's scores alone failed 10 % of these by their steps."""
    chance = np.random.default_rng(2)
    learnt = 0.95 - 0.6 * np.exp(-np.arange(1, 11) / 2)

    def drawn():
        return curve(*(learnt + chance.normal(0, 0.02, 10)))

    failed = 0
    for _ in range(200):
        rows = [seed_scores(seed, drawn(), drawn(), ACCURACY, LIMITS) for seed in range(20)]
        failed += verdict(rows, tries=4)[0] == "FAIL"
    assert failed <= 6


def test_scores_that_are_not_finite_are_none():
    found = seed_scores(0, curve(None, math.inf), curve(0.5, math.nan), ACCURACY, LIMITS)
    assert (found.base, found.head) == (None, 0.5)
    assert (found.base_steps_to_target, found.head_steps_to_target) == (None, 10)


def test_equal_training_passes_and_a_loss_fails():
    assert verdict([row(seed) for seed in range(3)]) == ("PASS", "")
    worse = [row(seed, head=0.85 + 0.001 * seed) for seed in range(5)]
    found, reason = verdict(worse)
    assert found == "FAIL"
    assert "accuracy lost: +4.80% [+4.60%, +5.00%]" in reason
    assert "limit 1.00%" in reason


def test_slower_learning_fails_where_steps_are_judged():
    slow = [row(seed, steps=(100, 190 + seed)) for seed in range(5)]
    found, reason = verdict(slow)
    assert found == "FAIL"
    assert reason.startswith("more steps to what both had come to half-way: +91.99% [+90.04%, +93.97%]")
    assert reason.endswith("over 5 seeds, limit 25.00%")
    assert verdict(slow, Limits(max_accuracy_loss=0.01, max_extra_steps=None))[0] == "PASS"


def test_one_seed_that_never_comes_to_the_target_is_no_proof_either_way():
    rows = [row(seed) for seed in range(4)] + [row(4, steps=(100, None))]
    found = judge(rows, Rule(ACCURACY, LIMITS, 2, 0.01))
    assert (found.verdict, found.against) == ("INCONCLUSIVE", True)
    assert "on 1 of 5 seeds" in found.reason
    assert verdict([row(seed, steps=(100, None)) for seed in range(5)])[0] == "FAIL"


def test_what_has_no_score_is_no_base_and_no_head():
    rows = [row(seed) for seed in range(3)]
    assert verdict([*rows, row(3, base=None)])[0] == "INCONCLUSIVE"
    assert verdict([*rows, row(3, head=None)])[0] == "FAIL"
    assert verdict(rows[:2])[0] == "INCONCLUSIVE"
    assert verdict([row(seed, steps=(None, 100)) for seed in range(3)])[0] == "INCONCLUSIVE"


def test_the_level_is_shared_by_the_tries():
    assert tries_of(3) == [3]
    assert tries_of(5) == [3, 5]
    assert tries_of(20) == [3, 6, 12, 20]
    rows = [row(seed, head=0.9 - 0.004 * (seed % 2)) for seed in range(3)]
    assert verdict(rows, tries=1)[0] == "PASS"
    assert verdict(rows, tries=8)[0] == "INCONCLUSIVE"


@pytest.fixture
def trained(monkeypatch):
    """Trains nothing: accuracies of base and head are drawn, head's around ``mean``. Counts the seeds."""
    rng = np.random.default_rng(3)
    made = []

    def stand_in(mean, spread):
        def scores(seed, *_):
            made.append(seed)
            return row(seed, head=rng.normal(mean, spread))

        monkeypatch.setattr(noninferiority, "_train", lambda *_: None)
        monkeypatch.setattr(noninferiority, "seed_scores", scores)
        return made

    return stand_in


def over_seeds(seeds, deadline=math.inf, epochs=3):
    mlp = registry.task("mlp")
    task = msgspec.structs.replace(mlp.define(mlp.options()), epochs=epochs)
    side = SimpleNamespace(plan=SimpleNamespace(task=task))
    return no_worse([side, side], "made up", LIMITS, 0.01, range(seeds), 1.0, deadline, lambda _told: None)


def test_seeds_are_spent_until_it_is_shown(trained):
    made = trained(0.9, 0.0)
    assert over_seeds(20).verdict == "PASS"
    assert made == [0, 1, 2]
    made.clear()
    trained(0.87, 0.001)
    assert over_seeds(6).verdict == "FAIL"
    assert made == [0, 1, 2, 3, 4, 5]


def test_of_two_epochs_nothing_is_said_of_the_steps_to_a_target(trained):
    """Half of them is the first, and by it both have come to what both have come to: any head would pass."""
    made = trained(0.9, 0.0)
    found = over_seeds(20, epochs=2)
    assert (found.verdict, found.unsound, made) == ("INCONCLUSIVE", True, [])
    assert 'give epochs = 3 or more, or max_extra_steps = "off"' in found.reason


def test_no_training_begins_after_the_deadline(trained):
    made = trained(0.9, 0.0)
    found = over_seeds(5, deadline=time.monotonic() - 1)
    assert (found.verdict, made) == ("INCONCLUSIVE", [])
    assert "the budget was spent after 0 seeds" in found.reason


@pytest.mark.parametrize(
    ("mean", "word", "most"), [(0.89, "PASS", 0.065), (0.9, "FAIL", 0.012)], ids=["at its limit", "as good"]
)
def test_chance_alone_seldom_decides(trained, mean, word, most):
    trained(mean, 0.01)
    found = [over_seeds(20).verdict for _ in range(1000)]
    assert found.count(word) <= most * len(found)
