"""Configurations with the same batches begin with the same losses, or they do different work."""

import msgspec
import pytest
from support.made_pairs import PROCESS
from support.workloads import workload

from harness.errors import HarnessError
from harness.layers import Dropout
from harness.timing.duel.runner import refuse_unequal_work
from harness.timing.engine.record import PairRecord

LOSSES = [[2.3], [2.2], [2.1]]
OTHER = [[2.3], [2.25], [2.1]]


def pair(*losses):
    return PairRecord([msgspec.structs.replace(PROCESS, first_losses=own) for own in losses], [], 1.0)


def test_the_first_step_that_differs_is_named():
    with pytest.raises(HarnessError, match=r"torch and jax do different work .* step 2 is 2\.2 and 2\.25"):
        refuse_unequal_work([workload("torch"), workload("jax")], pair(LOSSES, OTHER))


def test_equal_losses_pass_and_shorter_ones_are_compared_as_far_as_they_go():
    refuse_unequal_work([workload("torch"), workload("jax")], pair(LOSSES, LOSSES[:2]))
    refuse_unequal_work([workload("torch"), workload("jax")], pair(LOSSES, []))


def test_other_batches_precisions_and_dropout_cannot_be_compared():
    small = msgspec.structs.replace(workload("torch").task, batch_size=7)
    refuse_unequal_work([workload("torch"), workload("jax", task=small)], pair(LOSSES, OTHER))
    refuse_unequal_work([workload("torch"), workload("jax", precision="float64")], pair(LOSSES, OTHER))
    dropped = [workload(label, "dropout=0.5") for label in ("torch", "jax")]
    assert any(isinstance(place.layer, Dropout) for place in dropped[0].task.networks["model"].placed())
    refuse_unequal_work(dropped, pair(LOSSES, OTHER))
