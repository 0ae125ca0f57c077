"""Which test samples are explained, and all that a page shows of them: from a program to arrays."""

from collections.abc import Sequence

import msgspec
import numpy as np

from harness.core.certify.input_gradients import GradientCheck, check_gradients
from harness.core.training.program_scores import current_weights
from harness.core.training.scoring import score
from harness.spec.backend import Program
from harness.spec.data import Samples
from harness.spec.task import BinaryClassification, Classification, Task
from harness.weights.explain.attributions import (
    BY_GRADIENT,
    OCCLUSION,
    Array,
    Attribution,
    Subject,
    chance_curves,
    curves,
    first_filters,
    occlusion,
    permutation_importance,
    relevance,
)

#: Half of the samples that are explained are right answers, half the most confident errors.
EXPLAINED = 8
#: More test samples are not searched for them.
_MOST_SEARCHED = 1000
#: Samples whose gradients are compared with the reference; the reference is slow.
_CHECKED = 4


class Answer(msgspec.Struct, frozen=True):
    """A test sample and what the network says of it: the row, and the place of the output that is explained.

    ``label`` and ``predicted`` are classes of a classifier, for one of positions those at the last position;
    ``probability`` is that of the prediction. Of a regression ``value`` and ``truth`` are numbers,
    and ``probability`` is the error.
    """

    row: int
    place: int
    right: bool
    label: int | None = None
    predicted: int | None = None
    probability: float | None = None
    value: float | None = None
    truth: float | None = None


class MethodNote(msgspec.Struct, frozen=True):
    """What a method says of itself: the largest error of completeness, where it promises any."""

    completeness: float | None = None
    explained: float | None = None
    """The largest difference of the output that should be explained."""
    deletion_gain: float | None = None
    insertion_gain: float | None = None


class Explained(msgspec.Struct, frozen=True):
    """What a program says of some test samples; the arrays are in a file (:func:`save_arrays`)."""

    answers: list[Answer]
    methods: dict[str, MethodNote]
    check: GradientCheck | None
    classes: list[str]
    importance: list[tuple[float, float]] = []
    """Of each feature of a table: mean rise of the loss when it is shuffled, and its deviation."""


def explain(
    program: Program,
    task: Task,
    test: Samples,
    classes: Sequence[str],
    path: str,
    answers: Sequence[Answer] = (),
) -> Explained:
    """Explain these answers, or those that are chosen from the test samples; the arrays go to ``path``.

    The arrays are ``inputs``, a map ``(n, *positions)`` by the name of each method, and ``filters`` where the
    network begins with a convolution of pictures. A program in float64 is checked, others are not.

    Raises:
        Unsupported: the program has no gradients of inputs.
    """
    subject = Subject(program, task)
    found = list(answers) or chosen(subject, task, test)
    rows = [answer.row for answer in found]
    inputs, targets = test.inputs[rows], np.array([answer.place for answer in found], np.int64)
    numbers = subject.numbers(inputs)
    attributions: dict[str, Attribution] = {
        name: method(subject, numbers, targets) for name, method in BY_GRADIENT.items()
    }
    attributions[OCCLUSION] = occlusion(subject, inputs, targets)
    maps = {name: _map_of(each.values, numbers) for name, each in attributions.items()}
    chance = chance_curves(subject, numbers, targets, maps[OCCLUSION].shape)
    notes = {
        name: MethodNote(*_completeness(each), *curves(subject, numbers, targets, maps[name]).gains(chance))
        for name, each in attributions.items()
    }
    checked = slice(_CHECKED) if numbers.dtype == np.float64 else slice(0)
    check = check_gradients(program, task, inputs[checked], targets[checked]) if checked.stop else None
    filters = first_filters(task, current_weights(program))
    arrays = {"inputs": inputs, **maps} | ({} if filters is None else {"filters": filters})
    np.savez(path, allow_pickle=False, **arrays)
    return Explained(found, notes, check, list(classes), _importance(program, task, test))


def _map_of(values: Array, numbers: Array) -> Array:
    """A value for each position; an occlusion of tokens has no axis of features."""
    return relevance(values) if values.ndim == numbers.ndim else values


def _completeness(attribution: Attribution) -> tuple[float | None, float | None]:
    if attribution.completeness is None:
        return None, None
    explained = attribution.values.reshape(len(attribution.values), -1).sum(axis=1) - attribution.completeness
    return float(np.abs(attribution.completeness).max()), float(np.abs(explained).max())


def _importance(program: Program, task: Task, test: Samples) -> list[tuple[float, float]]:
    """Permutation importance of the features of a table."""
    if len(task.networks["model"].input_shape) != 1 or task.takes_tokens():
        return []

    def loss(inputs: Array) -> float:
        return score(task, program.predict, Samples(inputs, test.targets)).scores["loss"] or 0.0

    mean, deviation = permutation_importance(loss, test.inputs)
    return list(zip(mean.tolist(), deviation.tolist(), strict=True))


# Right answers, and errors of which the network is sure.


def chosen(subject: Subject, task: Task, test: Samples, most: int = EXPLAINED) -> list[Answer]:
    """Right answers, of different classes as far as possible, then the most confident errors.

    Of a forecast they are the smallest and the largest errors.
    """
    # Evenly spread: some data sets are sorted by class.
    rows = np.unique(np.linspace(0, len(test) - 1, min(len(test), _MOST_SEARCHED)).round().astype(int))
    searched = Samples(test.inputs[rows], test.targets[rows])
    outputs = subject.outputs(searched.inputs)
    match task.objective:
        case Classification():
            answers = _of_classes(outputs, searched.targets, task.networks["model"].output_shape()[-1])
        case BinaryClassification():
            both = np.concatenate([np.zeros_like(outputs), outputs], axis=1)
            answers = [
                msgspec.structs.replace(answer, place=0)
                for answer in _of_classes(both, searched.targets.reshape(-1), 2)
            ]
        case _:
            answers = _of_values(outputs[:, 0], searched.targets[:, 0])
    answers = [msgspec.structs.replace(answer, row=int(rows[answer.row])) for answer in answers]
    right = [answer for answer in answers if answer.right]
    wrong = sorted((answer for answer in answers if not answer.right), key=_confidence, reverse=True)
    few = wrong[: most // 2]
    return _turns(right)[: most - len(few)] + few


def _of_classes(outputs: Array, targets: Array, classes: int) -> list[Answer]:
    """The answer of each row; of a class for each position, at the last one."""
    last = outputs.shape[1] - classes
    logits, labels = outputs[:, last:], targets.reshape(len(targets), -1)[:, -1]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    predicted = logits.argmax(axis=1)
    return [
        Answer(
            row,
            last + int(answer),
            bool(answer == label),
            int(label),
            int(answer),
            float(shares[row, answer]),
        )
        for row, (answer, label) in enumerate(zip(predicted, labels, strict=True))
    ]


def _of_values(outputs: Array, truth: Array) -> list[Answer]:
    errors = np.abs(outputs - truth)
    middle = float(np.median(errors))
    return [
        Answer(
            row,
            0,
            bool(errors[row] <= middle),
            None,
            None,
            float(errors[row]),
            float(value),
            float(truth[row]),
        )
        for row, value in enumerate(outputs)
    ]


def _confidence(answer: Answer) -> float:
    return answer.probability or 0.0


def _turns(answers: list[Answer]) -> list[Answer]:
    """The first answer of each class, then the second of each; forecasts by their errors."""
    if answers and answers[0].value is not None:
        return sorted(answers, key=_confidence)
    turns: dict[int | None, int] = {}
    ordered = []
    for answer in answers:
        turns[answer.predicted] = turns.get(answer.predicted, -1) + 1
        ordered.append((turns[answer.predicted], answer.row, answer))
    return [answer for *_, answer in sorted(ordered, key=lambda each: each[:2])]
