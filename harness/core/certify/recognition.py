"""Recognition of known mistakes: the one that gives exactly the numbers that were observed of a case.

Each mistake is made in plain NumPy and its numbers are compared with the observed ones.
"""

import dataclasses
from collections.abc import Mapping

import msgspec
import numpy as np

from harness.core.certify.cases import SEED, Case
from harness.core.certify.digests import Piece, digests
from harness.core.certify.observation import Observation, certified_steps, finite_losses
from harness.core.certify.parity import TOLERANCE, Differences, Finding, array_differences, loss_difference
from harness.core.reference.mistakes import Alternative, alternatives
from harness.core.reference.training import NumpyProgram, refuse_uncovered
from harness.core.stats.deviations import exceeds, largest
from harness.core.training.batches import BatchOrder
from harness.core.training.initial import initial_weights
from harness.spec.backend import Steps, Unsupported
from harness.spec.task import Task

#: The numbers of a mistake may be so far from the observed ones, and this share of the deviation.
_NEAR, _SHARE = 1e-7, 0.01
_Arrays = Mapping[str, np.ndarray]


class Recognizer:
    """Names the mistakes of one configuration; mistakes found before are tried first in later cases."""

    def __init__(self) -> None:
        self._found: list[str] = []

    def named(self, finding: Finding, case: Case, observed: Observation, expected: Observation) -> Finding:
        """Add to a finding the known mistake that explains it, if there is one."""
        if finding.passed or observed.changed_by_predict or not finding.deviation:
            return finding
        try:
            refuse_uncovered(case.task)
        except Unsupported:
            return finding
        comparison = _Comparison(case, observed, expected, min(_NEAR, _SHARE * finding.worst))
        for alternative in sorted(alternatives(case.task), key=lambda each: each.mistake not in self._found):
            if comparison.is_explained_by(alternative):
                self._found.append(alternative.mistake)
                text = f"{finding.deviation}: {alternative.mistake} (tried: it gives these very numbers)"
                return msgspec.structs.replace(finding, explanation=text, deviation="")
        return finding


class _Comparison:
    """A deviating observation of a case, to be compared with the numbers that alternatives make."""

    def __init__(self, case: Case, observed: Observation, expected: Observation, near: float) -> None:
        self._case, self._observed, self._near = case, observed, near
        wrong = Differences.of(observed, expected).wrong_step
        self._first_loss_differs = wrong == 0
        early = any(
            exceeds(_difference(ours, theirs), TOLERANCE)
            for ours, theirs in ((observed.gradients, expected.gradients), (observed.state, expected.state))
        )
        self._compares_weights = not early and wrong is None
        self._steps = 1 if early else case.steps if wrong is None else wrong + 1

    def is_explained_by(self, alternative: Alternative) -> bool:
        """Check that the alternative makes the same numbers up to the first step that deviates.

        If no loss deviates, the whole training is compared.
        """
        case, observed, task = self._case, self._observed, alternative.task
        order, data, start = (
            BatchOrder.of_task(case.task, case.samples, SEED),
            case.data(),
            initial_weights(case.task, SEED),
        )
        program = NumpyProgram(task, data, alternative.rules)
        program.load(start)
        for step in range(self._steps):
            losses = program.train(_steps(alternative, order, step))
            if exceeds(loss_difference(finite_losses(losses)[0], observed.losses[step]), self._near):
                return False
            weights = program.weights()
            if step == 0 and case.gradient_rate is not None and not self._starts_as(task, weights, start):
                return False
        if not self._compares_weights:
            return True
        own = {name: weights[name] for name in start}
        return _difference(observed.weights, digests(task, own)) <= self._near

    def _starts_as(self, task: Task, weights: _Arrays, start: _Arrays) -> bool:
        """Check that the gradients and the state after the first step are those of the program."""
        rate = self._case.gradient_rate
        assert rate is not None  # noqa: S101  asked for before
        gradients = {name: (start[name] - weights[name]) / rate for name in task.parameters()}
        if exceeds(_difference(self._observed.gradients, digests(task, gradients)), self._near):
            return False
        # The effect of wrong outputs on running statistics is up to the backend.
        state = digests(task, {name: weights[name] for name in task.state()})
        return self._first_loss_differs or _difference(self._observed.state, state) <= self._near


def _steps(alternative: Alternative, order: BatchOrder, step: int) -> Steps:
    """Return one step of the case, with the learning rates of the alternative."""
    rates = BatchOrder.of_task(alternative.task, order.samples, SEED).rates
    at = max(0, step + alternative.rates_ahead)
    steps = certified_steps(order, alternative.task, step, 1)
    return dataclasses.replace(steps, learning_rates=rates.of_steps(at, 1))


def _difference(observed: dict[str, list[Piece]], expected: dict[str, list[Piece]]) -> float:
    return largest(array_differences(observed, expected).values())
