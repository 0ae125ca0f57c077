"""What deviations of several cases have in common: the part of the work that only failing cases have."""

import dataclasses
import enum
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from harness.core.certify.cases import SEED, Case
from harness.core.certify.observation import (
    Observation,
    Piece,
    certified_steps,
    digests,
    finite_losses,
)
from harness.core.certify.parity import (
    TOLERANCE,
    Differences,
    Finding,
    array_differences,
    loss_difference,
)
from harness.core.reference.mistakes import Alternative, alternatives
from harness.core.reference.training import NumpyProgram, refuse_uncovered
from harness.core.training.batches import BatchOrder
from harness.core.training.initial import initial_weights
from harness.spec.backend import Steps, Unsupported
from harness.spec.schedules import ConstantRate
from harness.spec.task import Adam, Classification, RmsProp, Sgd, Task


class Feature(enum.Enum):
    """A part of the work that some cases have and others lack; the value says where to look."""

    L1 = "the L1 penalty: its factor (l1 * sum of |kernel|), and which parameters it covers (kernels only)"
    L2 = "the L2 factor: the loss gets l2 * sum of kernel², and the gradient 2 * l2 * kernel, of kernels only"
    WEIGHT_DECAY = (
        "the weight decay: before the update a kernel is multiplied by 1 - learning_rate * weight_decay"
    )
    CLASS_WEIGHTS = (
        "the divisor of the class weights: the weighted losses are divided by the number of samples, not by "
        "the sum of their weights"
    )
    CROP_AND_FLIP = "the order of crops and flips: an image is cropped first and then flipped"
    CROP = "the crops: an offset is the row and column of the window in the zero-padded image"
    FLIP = "the flips: left to right"
    MOMENTUM = "the form of the momentum: v = momentum * v + g, w -= learning_rate * v"
    NESTEROV = "Nesterov's form of the momentum: w -= learning_rate * (g + momentum * v)"
    ADAM = "Adam's update: the bias correction, and the position of epsilon (outside the root)"
    RMSPROP = "RMSprop's update: the decay of the mean square, and the position of epsilon (outside the root)"
    FULL_BATCH = "batches of all samples"
    SMOOTHING = (
        "the label smoothing: the target is 1 - s at the class plus s / classes everywhere, and each term is "
        "multiplied by the weight of its class"
    )
    TABLES = "the weight decay of embeddings: decay_embeddings says whether their tables shrink as kernels do"
    SCHEDULE = "the learning rates: each step, and its weight decay, uses its own of steps.learning_rates"
    MSE_SOFTMAX = (
        "the mean squared error of the softmax: its divisor is the number of targets times that of classes"
    )
    MSE_LOGITS = (
        "the mean squared error of the logits against the one-hot class: its divisor is the number of "
        "targets times that of classes"
    )
    MSE_SIGMOID = "the mean squared error of the sigmoid: the mean over the batch of (sigmoid - target)²"
    MAE = "the mean absolute error: the mean over batch and outputs, with a gradient of 0 at an error of 0"
    HUBER = "the Huber loss: e²/2 up to an error of 1, |e| - 1/2 from there on, mean over batch and outputs"
    CLIPPING = "the clipping: by the norm of all gradients of a network together, penalty included"
    PRIVACY = (
        "DP-SGD: the gradient of each sample is clipped by the norm of all parameters together, the sum gets "
        "noise * clip * N(0, 1) and is divided by the task's batch size"
    )
    FLAT = "the gradient of pooling where values are equal: only one of them gets it"


def features(case: Case) -> set[Feature]:
    """The features of a case's task and data."""
    flat = {Feature.FLAT} if case.flat_square is not msgspec.UNSET else set()
    return features_of_task(case.task) | flat


def features_of_task(task: Task) -> set[Feature]:
    """The features of a task, whatever the data."""
    balanced = task.imbalance is not None and task.imbalance.rebalance == "weights"
    classes = balanced or bool(getattr(task.objective, "class_weights", ()))
    flips, crops, optimizer = task.augmentation.flip, task.augmentation.crop > 0, task.optimizer
    present = {
        Feature.L1: bool(task.penalty.l1),
        Feature.L2: bool(task.penalty.l2),
        Feature.WEIGHT_DECAY: bool(task.weight_decay),
        Feature.CLASS_WEIGHTS: classes,
        Feature.FULL_BATCH: task.batch_size is None,
        Feature.SMOOTHING: isinstance(task.objective, Classification) and task.objective.label_smoothing > 0,
        Feature.TABLES: task.decay_embeddings and task.weight_decay > 0,
        Feature.SCHEDULE: task.schedule != ConstantRate(),
        Feature.CLIPPING: task.clip_norm > 0,
        Feature.PRIVACY: task.privacy is not None,
        Feature.CROP_AND_FLIP: flips and crops,
        Feature.CROP: crops and not flips,
        Feature.FLIP: flips and not crops,
        Feature.MOMENTUM: isinstance(optimizer, Sgd) and optimizer.momentum > 0,
        Feature.NESTEROV: isinstance(optimizer, Sgd) and optimizer.nesterov,
        Feature.ADAM: isinstance(optimizer, Adam),
        Feature.RMSPROP: isinstance(optimizer, RmsProp),
    }
    found = {feature for feature, has in present.items() if has}
    if loss := task.special_loss():
        found.add(Feature[loss.upper()])
    return found


def diagnosed(findings: Sequence[Finding], cases: Iterable[Case]) -> list[Finding]:
    """The findings, with the cause that follows from comparing failed cases with those that passed.

    Only where the first case passed: it has no feature, so its fault is in what all cases share.
    """
    by_name = {case.name: features(case) for case in cases}
    compared = [finding for finding in findings if finding.case in by_name]
    failed = [finding for finding in compared if not finding.passed]
    if not failed or not compared[0].passed or by_name[compared[0].case]:
        return list(findings)
    ruled_out = set().union(*(by_name[finding.case] for finding in compared if finding.passed))
    common = set.intersection(*(by_name[finding.case] for finding in failed)) - ruled_out
    return [_diagnosed(finding, common, by_name.get(finding.case, set()) - ruled_out) for finding in findings]


def _diagnosed(finding: Finding, common: set[Feature], own: set[Feature]) -> Finding:
    """A finding with a cause; its own features count where the failed cases have none in common."""
    suspects = common & own or own
    if finding.passed or not finding.deviation or not suspects:
        return finding
    causes = "; or ".join(feature.value for feature in Feature if feature in suspects)
    reach = "only cases that have this deviate" if common else "no case that passes has this"
    return msgspec.structs.replace(finding, explanation=f"{finding.deviation}: look at {causes} ({reach})")


# Which known mistake gives exactly what was observed of a case, found by making each in plain NumPy.

#: How far the numbers of a mistake may be from those observed: so much, and this share of the deviation.
_NEAR, _SHARE = 1e-7, 0.01
_Arrays = Mapping[str, np.ndarray]


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
        wrong = Differences.of(observed, expected).wrong_step
        self._first_loss_differs = wrong == 0
        early = any(
            _difference(ours, theirs) > TOLERANCE
            for ours, theirs in ((observed.gradients, expected.gradients), (observed.state, expected.state))
        )
        self._compares_weights = not early and wrong is None
        self._steps = 1 if early else case.steps if wrong is None else wrong + 1

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
        program = NumpyProgram(task, data, alternative.rules)
        program.load(start)
        for step in range(self._steps):
            losses = program.train(_steps(alternative, order, step))
            if not loss_difference(finite_losses(losses)[0], observed.losses[step]) <= self._near:
                return False
            weights = program.weights()
            if step == 0 and case.gradient_rate is not None and not self._starts_as(task, weights, start):
                return False
        if not self._compares_weights:
            return True
        own = {name: weights[name] for name in start}
        return _difference(observed.weights, digests(task, own)) <= self._near

    def _starts_as(self, task: Task, weights: _Arrays, start: _Arrays) -> bool:
        """Whether the gradients and the state after the first step are those of the program."""
        rate = self._case.gradient_rate
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
    steps = certified_steps(order, alternative.task, step, 1)
    return dataclasses.replace(steps, learning_rates=rates.of_steps(at, 1))


def _difference(observed: dict[str, list[Piece]], expected: dict[str, list[Piece]]) -> float:
    return max(array_differences(observed, expected).values(), default=0.0)
