"""Recomputed losses that drift apart slowly are rounding; a step that is wrong at once is a fault."""

import numpy as np
import pytest

from harness.testing.replay import Span, compare_replay, deviation_at, outcome_of

STEPS = 40


def losses(values):
    return [[float(value)] for value in values]


REPORTED = 2.0 - 0.02 * np.arange(STEPS)


@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16"])
def test_equal_losses_are_compared_to_the_end(precision):
    found = compare_replay(losses(REPORTED), losses(REPORTED), precision)

    assert found == (STEPS, 0.0, None, 0.0)


def test_rounding_that_grows_ends_the_comparison_and_is_no_fault():
    drift = 1e-7 * 1.6 ** np.arange(STEPS)

    found = compare_replay(losses(REPORTED * (1 + drift)), losses(REPORTED), "float32")

    assert found.fault_at is None
    assert 5 < found.compared_steps < STEPS
    assert found.worst <= 1e-5


@pytest.mark.parametrize("step", [0, 1, 17, STEPS - 1])
def test_a_step_that_is_wrong_at_once_is_a_fault(step):
    wrong = REPORTED.copy()
    wrong[step:] *= 1.01

    found = compare_replay(losses(wrong), losses(REPORTED), "float32")

    assert found.fault_at == found.compared_steps == step


def test_a_first_step_has_no_rounding_to_inherit():
    found = compare_replay(losses(REPORTED * (1 + 1e-4)), losses(REPORTED), "float32")

    assert found.fault_at == 0


def test_small_losses_are_compared_with_the_size_of_the_others():
    tiny = np.full(STEPS, 1e-6)

    found = compare_replay(losses(tiny * 1.1), losses(tiny), "float32")

    assert found.fault_at is None


def test_a_loss_that_is_finite_for_one_program_alone_is_a_fault():
    reported, recomputed = losses(REPORTED), losses(REPORTED)
    recomputed[3] = [None]

    assert compare_replay(reported, recomputed, "float32").fault_at == 3


def test_the_deviation_names_the_step_and_the_worse_of_two_losses():
    reported, recomputed = [[1.0, 2.0]] * 5, [[1.0, 2.0]] * 3 + [[1.0, 2.5]] * 2
    found = compare_replay(reported, recomputed, "float32")
    span = Span(101, 5, 2, found.compared_steps, found.worst)

    deviation = deviation_at(span, reported, recomputed)

    assert (deviation.step, deviation.reported, deviation.recomputed) == (104, 2.0, 2.5)


@pytest.mark.parametrize(
    ("compared", "outcome"), [([40], "verified"), ([3], "not verified"), ([3, 6], "verified")]
)
def test_few_compared_steps_verify_nothing(compared, outcome):
    spans = [Span(1, 40, 8, count, 0.0) for count in compared]

    assert outcome_of(spans, "second program", "float32").outcome == outcome
