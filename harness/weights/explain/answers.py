"""The test samples that are explained: right answers, and errors of which the network is sure."""

from collections.abc import Sequence

import msgspec
import numpy as np

from harness.core.certify.input_gradients import Array, Subject
from harness.spec.data import Samples
from harness.spec.task import BinaryClassification, Classification, Task

#: Half of the samples that are explained are right answers, half the most confident errors.
EXPLAINED = 8
#: More test samples are not searched for them.
_MOST_SEARCHED = 1000


class Answer(msgspec.Struct, frozen=True):
    """A test sample with the network's output for it: the row, and the place of the output that is explained.

    For a classifier, ``label`` and ``predicted`` are classes, of the last position if there are several, and
    ``probability`` belongs to the prediction. For a regression, ``value`` and ``truth`` are numbers, and
    ``probability`` is the error.
    """

    row: int
    place: int
    right: bool
    label: int | None = None
    predicted: int | None = None
    probability: float | None = None
    value: float | None = None
    truth: float | None = None

    def text(self, classes: Sequence[str]) -> str:
        """Return ``right: 3 (94 %)``, ``wrong: 5 (88 %), truly 3``, or a forecast with the truth."""
        if self.predicted is None or self.label is None:
            return f"forecast {self.value:.3g}, truly {self.truth:.3g}"
        said = f"{_class_text(classes, self.predicted)} ({100 * (self.probability or 0):.0f} %)"
        return f"right: {said}" if self.right else f"wrong: {said}, truly {_class_text(classes, self.label)}"


def _class_text(classes: Sequence[str], number: int) -> str:
    text = classes[number] if number < len(classes) else str(number)
    are_characters = all(len(each) == 1 for each in classes) and not all(map(str.isdigit, classes))
    return repr(text) if are_characters else text


def chosen(subject: Subject, task: Task, test: Samples, most: int = EXPLAINED) -> list[Answer]:
    """Choose right answers, of different classes as far as possible, then the most confident errors.

    For a forecast, choose the smallest and the largest errors.
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
    """Return the answer of each row; with a class for each position, the answer at the last one."""
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
    """Order answers: the first of each class, then the second of each; forecasts by their errors."""
    if answers and answers[0].value is not None:
        return sorted(answers, key=_confidence)
    turns: dict[int | None, int] = {}
    ordered = []
    for answer in answers:
        turns[answer.predicted] = turns.get(answer.predicted, -1) + 1
        ordered.append((turns[answer.predicted], answer.row, answer))
    return [answer for *_, answer in sorted(ordered, key=lambda each: each[:2])]
