"""Which known mistake gives exactly what was observed of a case, found by making each in plain NumPy."""

import dataclasses
from collections.abc import Mapping

import msgspec
import numpy as np

from harness.spec.backend import Steps, Unsupported
from harness.spec.task import Task
from harness.testing.alternatives import Alternative, alternatives
from harness.testing.cases import SEED, Case
from harness.testing.digest import Piece, digests
from harness.testing.numpy_training import NumpyTraining, refuse_uncovered
from harness.testing.observation import Observation, finite_losses
from harness.testing.parity import TOLERANCE, Finding, array_differences, loss_difference
from harness.training.batches import BatchOrder
from harness.training.initial import initial_weights

#: How far the numbers of a mistake may be from those observed: so much, and this share of the deviation.
_NEAR, _SHARE = 1e-7, 0.01


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
        comparison = _Comparison(case, observed, expected, min(_NEAR, _SHARE * finding.worst))
        for alternative in sorted(alternatives(case.task), key=lambda each: each.mistake not in self._found):
            if comparison.is_explained_by(alternative):
                self._found.append(alternative.mistake)
                text = f"{finding.deviation}: {alternative.mistake} (tried: it gives these very numbers)"
                return msgspec.structs.replace(finding, explanation=text, deviation="")
        return finding


class _Comparison:
    """What was observed of a case and deviates, to be compared with what alternatives make."""

    def __init__(self, case: Case, observed: Observation, expected: Observation, near: float) -> None:
        self._case, self._observed, self._near = case, observed, near
        pairs = zip(observed.losses, expected.losses, strict=True)
        wrong = [step for step, pair in enumerate(pairs) if loss_difference(*pair) > TOLERANCE]
        self._first_loss_differs = wrong[:1] == [0]
        early = any(
            _difference(ours, theirs) > TOLERANCE
            for ours, theirs in ((observed.gradients, expected.gradients), (observed.state, expected.state))
        )
        self._compares_weights = not early and not wrong
        self._steps = 1 if early else min([step + 1 for step in wrong[:1]], default=case.steps)

    def is_explained_by(self, alternative: Alternative) -> bool:
        """Whether all that is observed up to the first step that deviates is what the alternative makes.

        Where no loss deviates, that is the whole training.
        """
        case, observed, task = self._case, self._observed, alternative.task
        order, data, start = (
            BatchOrder.of_task(case.task, case.samples, SEED),
            case.data(),
            initial_weights(case.task, SEED),
        )
        training = NumpyTraining(task, data.inputs, data.targets, start, alternative.rules)
        for step in range(self._steps):
            with np.errstate(all="ignore"):
                losses = training.train(_steps(alternative, order, step))
            if not loss_difference(finite_losses(losses)[0], observed.losses[step]) <= self._near:
                return False
            if step == 0 and case.gradient_rate is not None and not self._starts_as(task, training, start):
                return False
        if not self._compares_weights:
            return True
        weights = {name: training.weights[name] for name in start}
        return _difference(observed.weights, digests(task, weights)) <= self._near

    def _starts_as(self, task: Task, training: NumpyTraining, start: Mapping[str, np.ndarray]) -> bool:
        """Whether the gradients and the state after the first step are those of the training."""
        rate, weights = self._case.gradient_rate, training.weights
        assert rate is not None  # noqa: S101  asked for before
        gradients = {name: (start[name] - weights[name]) / rate for name in task.parameters()}
        if _difference(self._observed.gradients, digests(task, gradients)) > self._near:
            return False
        # What wrong outputs do to running statistics is up to the backend.
        state = digests(task, {name: weights[name] for name in task.state()})
        return self._first_loss_differs or _difference(self._observed.state, state) <= self._near


def _steps(alternative: Alternative, order: BatchOrder, step: int) -> Steps:
    """One step of the case, with the rates that the alternative takes."""
    rates = BatchOrder.of_task(alternative.task, order.samples, SEED).rates
    at = max(0, step + alternative.rates_ahead)
    return dataclasses.replace(order.steps(step, 1), learning_rates=rates.of_steps(at, 1))


def _difference(observed: dict[str, list[Piece]], expected: dict[str, list[Piece]]) -> float:
    return max(array_differences(observed, expected).values(), default=0.0)
