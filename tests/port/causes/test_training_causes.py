"""Differences in training, none of which may be hidden by a number that is none."""

import math

import numpy as np

from harness.port.causes.training import Steps, loss_causes, loss_gaps, worst_parameter
from harness.port.pairing.matching import Matching
from harness.tracing.calls import Stored
from harness.tracing.side import Gradients

FREE = Matching([], [(Stored("w"), Stored("v"))], [], [])


def test_a_loss_that_is_no_number_is_an_infinite_difference():
    assert loss_gaps([1.0, math.nan], [1.0, 2.0]) == [0.0, math.inf]
    assert loss_gaps([1.0, 2.0], [1.0, math.nan]) == [0.0, math.inf]


def test_steps_after_which_rounding_has_grown_show_nothing():
    growing = [1e-15, 1e-12, 1e-8, 1e-4, 10.0]
    assert Steps.of([1e-15, 1e-11, 1e-7, 1e-2, 10.0], growing) == (3, 1e-7, 1e-6)
    assert Steps.of([1e-15, 1e-5, 1e-7, 1e-2, 10.0], growing) == (3, 1e-5, 1e-7)
    assert Steps.of([1e-15, 1e-11, 1e-2], [0.0, 0.0, 0.0]) == (3, 1e-2, 1e-7)
    assert Steps.of([0.0, math.inf], [0.0, 0.0]) == (2, math.inf, 1e-7)


def test_a_parameter_that_is_no_number_is_an_infinite_difference():
    worst, where = worst_parameter(FREE, {"w": np.ones(3)}, {"v": np.array([1.0, math.nan, 1.0])})
    assert (worst, where) == (math.inf, "v")
    assert worst_parameter(FREE, {"w": np.ones(3)}, {"v": np.ones(3)})[0] == 0.0


def test_an_infinite_number_that_is_not_compared_hides_no_difference():
    of_a = {"w": np.ones(3), "unpaired": np.array([math.inf])}
    assert worst_parameter(FREE, of_a, {"v": np.array([1.0, 2.0, 1.0])})[0] == 1.0


def gradient(array):
    return Gradients(0.0, {}, [], np.zeros_like(array), array)


def test_losses_are_compared_by_their_gradients_and_a_factor_is_named():
    one = np.random.default_rng(0).normal(size=(4, 5))
    assert loss_causes(gradient(one), gradient(one)) == []
    (summed,) = loss_causes(gradient(one), gradient(4 * one))
    assert (summed.kind, summed.b, summed.after < 1e-9) == ("loss", "loss × 4", True)
    (other,) = loss_causes(gradient(one), gradient(one**3))
    assert (other.kind, other.b, other.after) == ("loss", "", None)
    assert loss_causes(gradient(one), gradient(np.full_like(one, np.nan)))[0].before is None
