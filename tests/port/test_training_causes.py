"""Differences in training, none of which may be hidden by a number that is none."""

import math

import numpy as np

from harness.port.matching import Matching
from harness.port.updates import loss_causes, worst_loss, worst_parameter
from harness.tracing.calls import Stored

FREE = Matching([], [(Stored("w"), Stored("v"))], [], [])


def test_a_loss_that_is_no_number_is_an_infinite_difference():
    assert worst_loss([1.0, math.nan], [1.0, 2.0]) == math.inf
    assert worst_loss([1.0, 2.0], [1.0, math.nan]) == math.inf


def test_a_parameter_that_is_no_number_is_an_infinite_difference():
    worst, where = worst_parameter(FREE, {"w": np.ones(3)}, {"v": np.array([1.0, math.nan, 1.0])})
    assert (worst, where) == (math.inf, "v")
    assert worst_parameter(FREE, {"w": np.ones(3)}, {"v": np.ones(3)})[0] == 0.0


def test_a_summed_loss_is_recognised_by_the_size_of_the_batch():
    (cause,) = loss_causes(2.0, 8.0, 4)
    assert (cause.kind, cause.a, cause.b) == ("loss", "averaged", "summed")
    assert loss_causes(2.0, 2.0, 4) == []
