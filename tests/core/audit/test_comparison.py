"""What rounding can do to losses and weights is how far it sets two repetitions apart."""

import numpy as np
import pytest

from harness.core.audit.comparison import (
    WeightsCheck,
    compare_losses,
    deviation_of,
    first_difference,
)

STEPS = 40
REPORTED = 2.0 - 0.02 * np.arange(STEPS)
#: Rounding that doubles every other step.
DRIFT = 1e-7 * 1.6 ** np.arange(STEPS)


def losses(values):
    return [[float(value)] for value in values]


@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16"])
def test_equal_losses_are_compared_to_the_end(precision):
    assert compare_losses(losses(REPORTED), losses(REPORTED), precision) == (STEPS, 0.0, None)


def test_a_deviation_is_a_fault_unless_rounding_leads_as_far():
    reported, repeated = losses(REPORTED * (1 + DRIFT)), losses(REPORTED)
    alone = compare_losses(reported, repeated, "float32")
    nearby = repeated, losses(REPORTED * (1 - DRIFT / 3))
    found = compare_losses(reported, repeated, "float32", nearby)

    assert alone.fault_at is not None
    assert found.fault_at is None
    assert alone.compared_steps < found.compared_steps < STEPS  # then rounding has separated the two


@pytest.mark.parametrize(("step", "by"), [(0, 1e-4), (1, 1e-3), (17, 1e-3), (STEPS - 1, 1e-2)])
def test_a_step_that_is_wrong_by_more_than_rounding_is_a_fault(step, by):
    wrong = REPORTED.copy()
    wrong[step:] *= 1 + by
    nearby = losses(REPORTED * (1 + 1e-8)), losses(REPORTED)

    found = compare_losses(losses(wrong), losses(REPORTED), "float32", nearby)

    assert found.fault_at == found.compared_steps == step


def test_an_update_may_carry_rounding_into_losses_after_it():
    """A GAN in Keras under Adam had 0.841203 and 0.841185 after a step of equal losses."""
    after, second = losses([2.0, 0.841203]), [[2.0, 0.841203]]
    assert compare_losses(after, losses([2.0, 0.841185]), "float32").fault_at is None
    assert compare_losses(second, [[2.0, 0.841185]], "float32").fault_at is None
    assert compare_losses(losses([0.841203]), losses([0.841185]), "float32").fault_at == 0


def test_nearby_losses_may_be_shorter():
    wrong = REPORTED * (1 + 1e-3)
    nearby = losses(REPORTED[:3]), losses(REPORTED[:3])
    assert compare_losses(losses(wrong), losses(REPORTED), "float32", nearby).fault_at == 0


def test_repetitions_that_both_do_other_work_explain_nothing():
    """A program that errs after some steps of its own count does so in both."""
    wrong = losses(REPORTED * 1.1), losses(REPORTED * (1.1 + 1e-7))
    assert compare_losses(wrong[0], losses(REPORTED), "float32", wrong).fault_at == 0


def test_a_loss_that_is_finite_for_one_program_alone_is_a_fault():
    reported, repeated = losses(REPORTED), losses(REPORTED)
    repeated[3] = [None]

    assert compare_losses(reported, repeated, "float32").fault_at == 3
    assert compare_losses(repeated, repeated, "float32").fault_at is None


def test_small_losses_are_compared_as_if_they_were_larger():
    tiny = np.full(STEPS, 1e-6)
    assert compare_losses(losses(tiny * 1.1), losses(tiny), "float32").fault_at is None


def test_two_configurations_differ_if_a_step_is_wrong_at_once():
    wrong = REPORTED.copy()
    wrong[5:] *= 1.01
    assert first_difference(losses(wrong), losses(REPORTED), "float32") == 5
    assert first_difference(losses(REPORTED * (1 + 1e-4)), losses(REPORTED), "float32") == 0
    assert first_difference(losses(REPORTED * (1 + DRIFT)), losses(REPORTED), "float32") is None


def test_a_generators_first_loss_follows_an_update_of_the_discriminator():
    reported = [[0.6915, 0.92342], [0.6882, 0.5923]]
    assert first_difference([[0.6915, 0.92339], [0.6882, 0.5925]], reported, "float32") is None
    assert first_difference([[0.6915, 0.93], [0.6882, 0.5923]], reported, "float32") == 0
    assert first_difference([[0.6916, 0.92342], [0.6882, 0.5923]], reported, "float32") == 0
    assert first_difference([[0.6915, 0.92342], [0.68822, 0.65]], reported, "float32") == 1


def test_the_deviation_names_the_step_and_the_worse_of_two_losses():
    reported, recomputed = [[1.0, 2.0]] * 5, [[1.0, 2.0]] * 3 + [[1.0, 2.5]] * 2
    deviation = deviation_of(3, reported, recomputed, first=100)
    assert (deviation.step, deviation.reported, deviation.recomputed) == (104, 2.0, 2.5)


RANDOM = np.random.default_rng(0)
BEFORE = {"kernel": RANDOM.normal(size=(30, 20)), "bias": RANDOM.normal(size=20)}
WAY = {name: 0.01 * RANDOM.normal(size=array.shape) for name, array in BEFORE.items()}


def moved(share, noise=0.0):
    return {
        name: array + share * WAY[name] + noise * RANDOM.normal(size=array.shape)
        for name, array in BEFORE.items()
    }


def check(before, repeated, precision="float32", state=()):
    return WeightsCheck(before, repeated, 20, precision, state)


def test_half_of_the_steps_are_half_of_the_way():
    found = check(BEFORE, moved(1.0)).compare(moved(0.5))
    assert found.differs
    assert found.apart == pytest.approx(0.5)


@pytest.mark.parametrize(("share", "differs"), [(0.98, True), (1.0, False)])
def test_one_update_of_fifty_counts(share, differs):
    assert check(BEFORE, moved(1.0)).compare(moved(share, noise=1e-7)).differs is differs


def test_weights_that_rounding_leads_as_far_apart_accuse_nobody():
    repeated = moved(1.0)
    found = check(BEFORE, repeated).compare(moved(0.98), (repeated, moved(1.0, noise=1e-4)))
    assert (found.apart, found.differs) == (pytest.approx(0.02), False)
    separated = check(BEFORE, repeated).compare(moved(0.5), (repeated, moved(1.0, noise=1e-3)))
    assert separated == (None, False)


def test_nothing_is_said_of_a_way_as_short_as_rounding():
    tiny = moved(1e-5)
    assert check(BEFORE, tiny).compare(BEFORE) == (None, False)
    assert check(BEFORE, tiny, "float64").compare(BEFORE).differs


def test_running_statistics_neither_hide_updates_nor_are_hidden():
    before = BEFORE | {"running_mean": np.zeros(20)}
    repeated = moved(1.0) | {"running_mean": np.full(20, 100.0)}
    measured = check(before, repeated, state={"running_mean"})
    assert measured.compare(moved(0.5) | {"running_mean": np.full(20, 100.0)}).differs
    assert measured.compare(moved(1.0) | {"running_mean": np.zeros(20)}).apart == pytest.approx(1.0)
