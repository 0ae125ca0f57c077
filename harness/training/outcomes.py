"""Computes :mod:`harness.training.outcome_records` from a network's outputs."""

import numpy as np

from harness.spec.data import Samples, Series
from harness.spec.task import BinaryClassification, Classification, Regression, Task
from harness.training.outcome_records import Example, Forecast, Outcomes
from harness.training.scoring import Predict

#: Half of the samples were classified wrongly, half rightly, as far as there are so many.
MOST_EXAMPLES = 16
#: More classes make no readable matrix.
_MOST_CLASSES = 32
_MOST_VALUES = 64
_MOST_YEARS = 400


class Remembering:
    """Predicts, and keeps what the network ``model`` last predicted."""

    def __init__(self, predict: Predict) -> None:
        self._predict = predict
        self.outputs: np.ndarray | None = None

    def __call__(self, inputs: np.ndarray, network: str = "model") -> np.ndarray:
        """:meth:`harness.spec.Program.predict`."""
        outputs = self._predict(inputs, network)
        if network == "model":
            self.outputs = outputs
        return outputs


def outcomes(
    task: Task, outputs: np.ndarray, test: Samples, classes: tuple[str, ...], series: Series | None
) -> Outcomes | None:
    """What these outputs ``(n, …)`` of the test samples show; None for tasks of other kinds."""
    match task.objective:
        case Classification() if not task.predicts_positions():
            return _classified(outputs, test, classes)
        case BinaryClassification():
            # The sigmoid of a logit is the softmax of 0 and the logit.
            return _classified(np.concatenate([np.zeros_like(outputs), outputs], axis=1), test, classes)
        case Regression() if series is not None:
            return Outcomes(forecast=_forecast(outputs, test, series))
        case _:
            return None


def _classified(logits: np.ndarray, test: Samples, classes: tuple[str, ...]) -> Outcomes:
    values = logits.astype(np.float64)
    predicted = values.argmax(axis=1)
    count = max(len(classes), values.shape[1])
    names = [*classes, *map(str, range(len(classes), count))]
    confusion: list[list[int]] = []
    if count <= _MOST_CLASSES:
        cells = np.bincount(test.targets * count + predicted, minlength=count**2)
        confusion = cells.reshape(count, count).tolist()
    return Outcomes(names, confusion, _examples(values, predicted, test))


def _examples(logits: np.ndarray, predicted: np.ndarray, test: Samples) -> list[Example]:
    """The surest mistakes, then right answers: the first of each class, then the next."""
    with np.errstate(invalid="ignore", over="ignore"):
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        sure = (weights / weights.sum(axis=1, keepdims=True)).max(axis=1)
    right = predicted == test.targets
    half = MOST_EXAMPLES // 2
    wrong = np.flatnonzero(~right & np.isfinite(sure))
    chosen = wrong[np.argsort(-sure[wrong], kind="stable")][:half].tolist()
    turns: dict[int, int] = {}
    ordered = []
    for row in np.flatnonzero(right).tolist():
        label = int(test.targets[row])
        turns[label] = turns.get(label, -1) + 1
        ordered.append((turns[label], row))
    chosen += [row for _, row in sorted(ordered)[:half]]
    return [
        Example(
            row,
            int(test.targets[row]),
            int(predicted[row]),
            round(float(sure[row]), 4),
            _eight_bits(test.inputs[row]),
        )
        for row in chosen
    ]


def _eight_bits(values: np.ndarray) -> list[int]:
    """A sequence ``(steps, 1)`` from 0 to 255; empty for other samples."""
    if values.ndim != 2 or values.shape[1] != 1:  # noqa: PLR2004  (steps, features)
        return []
    curve = values[:: -(-len(values) // _MOST_VALUES), 0].astype(np.float64)
    span = float(np.ptp(curve)) or 1.0
    scaled: list[int] = np.round(255 * (curve - curve.min()) / span).astype(int).tolist()
    return scaled


def _forecast(outputs: np.ndarray, test: Samples, series: Series) -> Forecast:
    columns = (test.targets[:, 0], outputs[:, 0], test.inputs[:, -1, 0])
    truth, forecast, naive = (
        np.round(column[:_MOST_YEARS].astype(np.float64) * series.scale + series.offset, 2).tolist()
        for column in columns
    )
    return Forecast(truth, forecast, naive, series.quantity, series.time, series.test_start)
