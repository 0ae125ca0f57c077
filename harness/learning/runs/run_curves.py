"""Records as the analyses need them: curves and step times as arrays, without the bulk of raw samples."""

import copy
import functools
import statistics
from dataclasses import dataclass

import msgspec
import numpy as np

from harness.core.runs.record import Record, steady_steps
from harness.core.stats.intervals import Array
from harness.core.training.measures import Measure, measure_of_task
from harness.spec.task import Task

#: The scores whose curves are kept, where a task has them.
_CURVES = (
    "loss",
    "cross_entropy",
    "mean_squared_error",
    "accuracy",
    "balanced_accuracy",
    "real",
    "generator_loss",
    "frechet_distance",
)


@dataclass(frozen=True, slots=True)
class Run:
    """A record without its blocks and all epochs but the last, and their content as arrays.

    ``curves`` hold one value per epoch ``(epochs,)`` under names such as ``validation_loss``; NaN where a
    score is not finite. ``step_seconds`` are the seconds per step of the steady blocks ``(blocks,)`` in
    order, ``step_median`` is their median, and ``settled`` says whether the warm-up had ended before them;
    see :func:`harness.core.runs.record.steady_steps`.
    """

    record: Record
    curves: dict[str, Array]
    step_seconds: Array
    step_median: float | None
    settled: bool

    @classmethod
    def of(cls, record: Record) -> "Run":
        """Convert a record, which is not changed."""
        steady = steady_steps(record)
        light = copy.copy(record)  # msgspec's replace would check all scores once more
        light.blocks, light.epochs = [], record.epochs[-1:]
        median = statistics.median(steady.seconds) if steady.seconds else None
        return cls(light, _curves(record), np.array(steady.seconds, np.float64), median, steady.settled)

    @property
    def measure(self) -> Measure:
        """The measure of the run's quality."""
        return measure_of(self.record)

    def place_of(self, measure: Measure, target: float) -> int | None:
        """Return the position of the first scored epoch whose validation score reaches the target."""
        curve = self.curves.get(f"validation_{measure.key}", np.empty(0)) * measure.factor
        places = np.flatnonzero(curve >= target if measure.higher_is_better else curve <= target)
        return int(places[0]) if len(places) else None

    def score(self, key: str, *, best: bool = False) -> float | None:
        """Return a test score after the last epoch, or with the weights of the best epoch."""
        return self.record.test_scores(best=best).get(key)


def measure_of(record: Record) -> Measure:
    """Return the measure of the record's kind of task."""
    return _measure(msgspec.json.encode(record.task.description))


@functools.lru_cache(maxsize=1024)  # it takes the shapes of networks; many records have few tasks
def _measure(description: bytes) -> Measure:
    return measure_of_task(msgspec.json.decode(description, type=Task))


def _curves(record: Record) -> dict[str, Array]:
    epochs = record.epochs
    if not epochs:
        return {}
    rows: dict[str, list[float | None]] = {
        "epoch": [epoch.epoch for epoch in epochs],
    }
    if record.judged_seconds is not None:
        rows["training_seconds"] = [epoch.training_seconds for epoch in epochs]
    last = epochs[-1]
    for key in _CURVES:
        if key in last.train:
            rows[f"train_{key}"] = [epoch.train.get(key) for epoch in epochs]
        if key in last.validation:
            rows[f"validation_{key}"] = [epoch.validation.get(key) for epoch in epochs]
    # One array whose rows are the curves: this is faster for thousands of records.
    return dict(zip(rows, np.array(list(rows.values()), np.float64), strict=True))
