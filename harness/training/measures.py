"""How good a result is: scores by name, and the score that a kind of task is judged by."""

import msgspec

from harness.spec.task import Adversarial, Regression, Task
from harness.stats.estimate import Estimate

#: Scores by name; see :mod:`harness.training.scoring`. ``loss`` is always among them, the mean of the
#: task's loss without penalty. A number that is not finite is None, for JSON has no word for it.
Scores = dict[str, float | None]


class Measure(msgspec.Struct, frozen=True):
    """How good a task's result is: the score that says so and how to write it.

    ``factor`` brings a score to ``unit``. ``margin`` is the difference, in that unit, that is taken
    for none; where ``relative`` it is a share of the score itself.
    """

    key: str
    name: str
    unit: str
    factor: float
    higher_is_better: bool
    margin: float
    relative: bool = False

    def as_change(self, improvement: Estimate | None) -> Estimate | None:
        """What changes in the score itself, where it improves by so much."""
        return improvement if improvement is None or self.higher_is_better else improvement.negated()


ACCURACY = Measure("accuracy", "accuracy", "points", 100.0, higher_is_better=True, margin=1.0)


_ERROR = Measure("loss", "mean squared error", "", 1.0, higher_is_better=False, margin=0.05, relative=True)


_DISTANCE = Measure(
    "frechet_distance", "Fréchet distance", "", 1.0, higher_is_better=False, margin=0.05, relative=True
)


def measure_of_task(task: Task) -> Measure:
    """What the quality of a task of this kind is measured by."""
    match task.objective:
        case Adversarial():
            return _DISTANCE
        case Regression():
            return _ERROR
        case _:
            return ACCURACY
