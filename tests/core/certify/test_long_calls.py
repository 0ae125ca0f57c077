"""Long calls are compared with single steps: planted faults of long calls are found and named."""

import dataclasses
import re

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch")

from support.altered import Altered, faulty, part

from harness.core.certify.certify import CALLS, Skipped, examine
from harness.core.certify.long_calls import (
    LONG_CALLS,
    compare_calls,
    long_calls,
    long_calls_case,
    observe_calls,
)
from harness.core.certify.observation import TrialPrograms
from harness.core.certify.parity import TOLERANCE
from harness.core.plugins import registry
from harness.core.plugins.configuration import Configuration
from harness.core.worker.examiner import Examiner
from harness.testing.kit import InProcessExaminer
from harness_torch import TorchBackend

MLP = registry.task("mlp")


def finding(backend, task=MLP):
    return compare_calls(observe_calls(TrialPrograms(backend, "eager", 1), long_calls_case(task)))


class RepeatsTheFirstBatches(Altered):
    """Divides a long call into parts of eight, all of which read the first eight rows."""

    def train(self, steps):
        count = len(steps.indices)
        return self.right.train(part(steps, np.arange(count) % 8))


class SkipsTheShortBatch(Altered):
    """Takes the batch that follows a long call for done, if it is a short one."""

    last = None

    def train(self, steps):
        count, size = steps.indices.shape
        if self.last and self.last[0] > 8 and size < self.last[1]:
            return np.full(count, 2.3)
        self.last = count, size
        return self.right.train(steps)


class LeavesOutTheLastStep(Altered):
    """Makes no more than 64 steps of a call and fills the losses up."""

    def train(self, steps):
        losses = self.right.train(part(steps, slice(64)))
        return np.concatenate([losses, np.full(len(steps.indices) - len(losses), losses[-1])])


class OverwritesItsLosses(Altered):
    """Returns a view of one buffer."""

    def __init__(self, right):
        super().__init__(right)
        self.buffer = np.zeros(256)

    def train(self, steps):
        losses = self.right.train(steps)
        self.buffer[: len(losses)] = losses
        return self.buffer[: len(losses)]


class ForgetsFlipsInLongCalls(Altered):
    def train(self, steps):
        if len(steps.indices) > 8 and steps.flips is not None:
            steps = dataclasses.replace(steps, flips=np.zeros_like(steps.flips))
        return self.right.train(steps)


class RestoresWeightsAfterLongCalls(Altered):
    """The last call of the case leaves no other trace than its weights."""

    def train(self, steps):
        before = self.right.weights()
        losses = self.right.train(steps)
        if len(steps.indices) == 5:
            self.right.load(before)
        return losses


class Doubled(Altered):
    def train(self, steps):
        return 2 * self.right.train(steps)


@pytest.mark.parametrize(
    ("program", "task"),
    [
        (RepeatsTheFirstBatches, "mlp"),
        (SkipsTheShortBatch, "mlp"),
        (LeavesOutTheLastStep, "mlp"),
        (RestoresWeightsAfterLongCalls, "mlp"),
        (ForgetsFlipsInLongCalls, "cnn"),
    ],
)
def test_a_planted_fault_of_long_calls_is_found(program, task, snapshot):
    found = finding(faulty(program), registry.task(task))
    assert not found.passed
    assert re.sub(r"\d+\.\d+(e[-+]\d+)?", "N", found.explanation) == snapshot


def test_an_honest_program_passes():
    assert finding(TorchBackend()).worst <= TOLERANCE
    assert finding(faulty(Altered)).passed


def test_losses_that_a_later_call_overwrites_are_copied_before():
    assert finding(faulty(OverwritesItsLosses)).passed


def test_long_calls_are_part_of_a_certification_and_skipped_where_another_case_failed():
    def outcomes(backend):
        return {case.name: outcome for case, outcome in examine(InProcessExaminer(backend, "eager", 1), MLP)}

    assert not outcomes(faulty(RepeatsTheFirstBatches))[LONG_CALLS].passed
    failed = outcomes(faulty(Doubled))
    assert failed[LONG_CALLS] == Skipped(LONG_CALLS, "sgd")


@pytest.mark.slow
def test_a_worker_compares_calls_too():
    with Examiner(Configuration("torch", "eager", "cpu", 1)) as examiner:
        assert compare_calls(examiner.examine(CALLS, long_calls_case(MLP))).passed


def test_calls_are_odd_and_long_and_cross_a_short_batch():
    counts = [count for _, count in long_calls()]
    assert {7, 23} <= set(counts)
    assert max(counts) > 100
    case = long_calls_case(MLP)
    assert case.samples == case.task.batch_size * sum(counts[:-2]) + 1
    assert counts[-2] == 1


def test_a_task_without_batches_has_no_long_calls():
    def whole(options):
        return msgspec.structs.replace(MLP.define(options), batch_size=None)

    assert long_calls_case(msgspec.structs.replace(MLP, define=whole)) is None
