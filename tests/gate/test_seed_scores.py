"""Scores of one seed: the common target, and the steps at which base and head reached it."""

import math

from harness.gate.quality import seed_scores
from harness.gate.suite import Limits
from harness.gate.training_worker import Curve
from harness.training.measures import ACCURACY, Measure

LIMITS = Limits(max_accuracy_loss=0.01, max_extra_steps=0.25)
ERROR = Measure("loss", "error", "", 1.0, higher_is_better=False, margin=0.05, relative=True)


def curve(*values, key="accuracy"):
    return Curve([10 * (epoch + 1) for epoch in range(len(values))], [{key: value} for value in values])


def test_the_target_is_what_both_had_by_half_of_their_epochs_minus_the_loss_allowed():
    scores = seed_scores(5, curve(0.5, 0.71, 0.85, 0.9), curve(0.6, 0.7, 0.791, 0.9), ACCURACY, LIMITS)
    assert (scores.base, scores.head) == (0.9, 0.9)
    assert (scores.base_steps_to_target, scores.head_steps_to_target, scores.head_steps) == (20, 19, 40)
    slower = seed_scores(5, curve(0.7, 0.8, 0.9, 0.9), curve(0.6, 0.71, 0.78, 0.78), ACCURACY, LIMITS)
    assert (slower.base_steps_to_target, slower.head_steps_to_target) == (10, 20)
    assert slower.first_steps == (10, 10)
    assert seed_scores(5, curve(0.7, 0.8), curve(None, None), ACCURACY, LIMITS).head_steps_to_target is None


def test_of_a_loss_less_is_better_and_the_loss_allowed_is_a_share():
    base, head = curve(3.03, 2.0, 1.0, 1.0, key="loss"), curve(4.0, 3.0, 2.01, 1.0, key="loss")
    scores = seed_scores(0, base, head, ERROR, LIMITS)
    assert (scores.base_steps_to_target, scores.head_steps_to_target) == (10, 20)


def test_between_two_scores_the_step_is_interpolated():
    base, head = curve(0.2, 0.91, 0.9, 0.9), curve(0.2, 0.71, 0.9, 0.9)
    scores = seed_scores(0, base, head, ACCURACY, LIMITS)
    assert (scores.base_steps_to_target, scores.head_steps_to_target) == (18, 20)


def test_scores_that_are_not_finite_are_none():
    scores = seed_scores(0, curve(None, math.inf), curve(0.5, math.nan), ACCURACY, LIMITS)
    assert (scores.base, scores.head) == (None, 0.5)
    assert (scores.base_steps_to_target, scores.head_steps_to_target) == (None, 10)
