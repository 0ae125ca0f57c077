"""Measures of quality: scores by name, and the score by which a kind of task is measured."""

import msgspec

from harness.core.stats.estimate import Estimate
from harness.spec.task import Adversarial, Classification, Regression, Task

#: Scores by name; see :mod:`harness.core.training.scoring`. ``loss``, the mean of the task's loss without
#: penalty,
#: class weights and label smoothing, is always among them. None stands for a number that is not finite, which
#: JSON cannot hold.
Scores = dict[str, float | None]


class Measure(msgspec.Struct, frozen=True):
    """The score that measures a task's quality, and how it is written.

    ``factor`` converts a score to ``unit``, which is ``points`` for a share and empty for a number without
    one. Differences up to ``margin``, in that unit, count as equal; if ``relative``, the margin is a share of
    the score of the configuration that is compared with a reference.
    """

    key: str
    name: str
    unit: str
    factor: float
    higher_is_better: bool
    margin: float
    relative: bool = False

    @property
    def upper(self) -> float | None:
        """The largest possible value in the measure's unit; None without one. The smallest is 0 for all."""
        return self.factor if self.unit == "points" else None

    @property
    def sign(self) -> int:
        """1 if a higher score is better, and otherwise -1."""
        return 1 if self.higher_is_better else -1

    def margin_at(self, score: float | None) -> float:
        """Return the margin in the measure's unit; a relative one is a share of ``score``; None: of 1."""
        return self.margin * abs(score) if self.relative and score is not None else self.margin

    def as_change(self, improvement: Estimate | None) -> Estimate | None:
        """Return the change of the score that corresponds to an improvement."""
        return improvement if improvement is None or self.higher_is_better else improvement.negated()


ACCURACY = Measure("accuracy", "accuracy", "points", 100.0, higher_is_better=True, margin=1.0)


_ERROR = Measure("loss", "mean squared error", "", 1.0, higher_is_better=False, margin=0.05, relative=True)


_CROSS_ENTROPY = Measure(
    "loss", "loss", "nats/token", 1.0, higher_is_better=False, margin=0.01, relative=True
)


_DISTANCE = Measure(
    "frechet_distance", "Fréchet distance", "", 1.0, higher_is_better=False, margin=0.05, relative=True
)


def measure_of_task(task: Task) -> Measure:
    """Return the measure of quality for a task of this kind, the same for every training loss."""
    special = task.special_loss() is not None
    match task.objective:
        case Adversarial():
            return _DISTANCE
        case Regression():
            return _keyed(_ERROR, "mean_squared_error") if special else _ERROR
        case Classification() if task.predicts_positions():
            return _keyed(_CROSS_ENTROPY, "cross_entropy") if special else _CROSS_ENTROPY
        case _:
            return ACCURACY


def _keyed(measure: Measure, key: str) -> Measure:
    """Return the measure under the name of its score if ``loss`` is another loss."""
    return msgspec.structs.replace(measure, key=key)
