"""Which known mistake gives exactly what was observed of a case, found by making each in plain NumPy."""

import dataclasses

import msgspec
import numpy as np

from harness.spec.backend import Steps, Unsupported
from harness.testing.alternatives import Alternative, alternatives
from harness.testing.cases import SEED, Case
from harness.testing.digest import Piece, digests
from harness.testing.numpy_training import NumpyTraining, refuse_uncovered
from harness.testing.observation import Observation, finite_losses
from harness.testing.parity import TOLERANCE, Finding, array_differences, loss_difference
from harness.training.batches import BatchOrder
from harness.training.initial import initial_weights


class Recognizer:
    """Names the mistakes of one configuration; those that it has found are tried first in later cases."""

    def __init__(self) -> None:
        self._found: list[str] = []

    def named(self, finding: Finding, case: Case, observed: Observation, expected: Observation) -> Finding:
        """The finding, with the mistake that explains it where one of the known ones does."""
        if finding.passed or observed.changed_by_predict or not finding.deviation:
            return finding
        try:
            refuse_uncovered(case.task)
        except Unsupported:
            return finding
        tried = sorted(alternatives(case.task), key=lambda each: each.mistake not in self._found)
        for alternative in tried:
            if _explains(alternative, case, observed, expected):
                self._found.append(alternative.mistake)
                text = f"{finding.deviation}: {alternative.mistake} (tried: it gives these very numbers)"
                return msgspec.structs.replace(finding, explanation=text, deviation="")
        return finding


def _explains(alternative: Alternative, case: Case, observed: Observation, expected: Observation) -> bool:
    """Whether all that is observed up to the first step that deviates is what the alternative makes.

    Where no loss deviates, that is the whole training.
    """
    task, order = alternative.task, BatchOrder.of_task(case.task, case.samples, SEED)
    data, start = case.data(), initial_weights(case.task, SEED)
    training = NumpyTraining(task, data.inputs, data.targets, start, alternative.rules)
    for step in range(_length(observed, expected, case.steps)):
        with np.errstate(all="ignore"):
            losses = training.train(_steps(alternative, order, step))
        if loss_difference(finite_losses(losses)[0], observed.losses[step]) > TOLERANCE:
            return False
        if step == 0 and case.gradient_rate is not None:
            rate = case.gradient_rate
            gradients = {name: (start[name] - training.weights[name]) / rate for name in task.parameters()}
            state = {name: training.weights[name] for name in task.state()}
            if _differ(observed.gradients, digests(task, gradients)):
                return False
            if _differ(observed.state, digests(task, state)):
                return False
    if _losses_agree(observed, expected) and not _early(observed, expected):
        return not _differ(observed.weights, digests(task, {name: training.weights[name] for name in start}))
    return True


def _steps(alternative: Alternative, order: BatchOrder, step: int) -> Steps:
    """One step of the case, with the rates that the alternative takes."""
    rates = BatchOrder.of_task(alternative.task, order.samples, SEED).rates
    at = max(0, step + alternative.rates_ahead)
    return dataclasses.replace(order.steps(step, 1), learning_rates=rates.of_steps(at, 1))


def _length(observed: Observation, expected: Observation, steps: int) -> int:
    """The steps to make: up to the first that deviates, at least one that shows more than rounding."""
    if _early(observed, expected):
        return 1
    for step, (ours, theirs) in enumerate(zip(observed.losses, expected.losses, strict=True)):
        if loss_difference(ours, theirs) > TOLERANCE:
            return step + 1
    return steps


def _early(observed: Observation, expected: Observation) -> bool:
    """Whether the first step shows the fault already."""
    return _differ(observed.gradients, expected.gradients) or _differ(observed.state, expected.state)


def _losses_agree(observed: Observation, expected: Observation) -> bool:
    pairs = zip(observed.losses, expected.losses, strict=True)
    return all(loss_difference(ours, theirs) <= TOLERANCE for ours, theirs in pairs)


def _differ(observed: dict[str, list[Piece]], expected: dict[str, list[Piece]]) -> bool:
    return any(value > TOLERANCE for value in array_differences(observed, expected).values())
