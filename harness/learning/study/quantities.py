"""Quantities that a study measures of its variants: general ones, and what parts need to define their own.

A name that nothing defines is that of a test score, such as ``balanced_accuracy``.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, TypeVar

import msgspec
import numpy as np

from harness.core.runs.record import Epoch
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import Array
from harness.core.stats.scales import Scale
from harness.core.training.measures import Measure
from harness.learning.runs.overfit import gap_curves, gap_measure
from harness.learning.runs.rows import ConfigurationRuns
from harness.learning.runs.run_curves import Run
from harness.learning.study.record import Study
from harness.spec.task import Task, communicated_bytes

#: Values by seed, in the unit of the quantity.
SeedValues = dict[int, float]
_T = TypeVar("_T")


class Quantity(NamedTuple):
    """Something measured of runs: its ``values`` after the last epoch, or at the best one.

    Changes of a ``ratio`` are quotients, and others are differences. ``of_samples`` returns the measure of a
    test score of runs that may be a mean over samples, so that intervals for the population are known. A
    quantity is at least 0 unless ``signed``; intervals do not leave its ``scale``.
    """

    name: str
    measure: Measure
    values: Callable[[ConfigurationRuns, bool], SeedValues]
    ratio: bool = False
    of_samples: Callable[[ConfigurationRuns], Measure] | None = None
    signed: bool = False
    largest: float | None = None
    """The largest possible value where the unit does not state it; of a ``signed`` quantity its size."""

    level: Callable[[ConfigurationRuns, bool], Estimate | None] | None = None
    """Estimates the mean where its interval is not that over seeds."""
    answers: Callable[[Estimate | None], Literal["yes", "no", "undecided", "few"]] | None = None
    """Answers the question of the kind about a variant by its level, where nothing is compared."""

    @property
    def scale(self) -> Scale:
        """The values that the quantity can take."""
        upper = self.measure.upper if self.largest is None else self.largest
        if not self.signed:
            return Scale(0.0, upper)
        return Scale() if upper is None else Scale(-upper, upper)


#: Makes a quantity from its name, for the task of a study; also takes runs of the study.
Definition = Callable[[str, Study, ConfigurationRuns], Quantity]


def measure(name: str, unit: str = "", factor: float = 1.0, *, higher: bool = False) -> Measure:
    """Return a measure whose margin is 1 in its unit, or 5 % of the reference without a unit."""
    relative = not unit
    margin = 0.05 if relative else 1.0
    return Measure(name, name, unit, factor, higher_is_better=higher, margin=margin, relative=relative)


def of_runs(
    shown: Measure,
    source: Callable[[Run, bool], _T | None],
    read: Callable[[_T], float | None],
    *,
    signed: bool = False,
    largest: float | None = None,
) -> Definition:
    """Define a quantity that is a number of each run.

    ``source`` takes a run and whether the best epoch counts; it returns a part of the record, None where the
    run has none. ``read`` reads the number from it. It is at least 0 unless ``signed``, and at most
    ``largest``; intervals stay within that.
    """

    def value(run: Run, best: bool) -> float | None:
        return None if (part := source(run, best)) is None else read(part)

    def definition(name: str, _study: Study, _runs: ConfigurationRuns) -> Quantity:
        return Quantity(
            name,
            shown,
            lambda runs, best: runs.by_seed(lambda run: value(run, best)),
            signed=signed,
            largest=largest,
        )

    return definition


_MEASURES: Mapping[str, Measure] = {
    "loss": measure("loss"),
    "accuracy": measure("accuracy", "points", 100.0, higher=True),
    "balanced_accuracy": measure("balanced accuracy", "points", 100.0, higher=True),
}
#: The names of test scores, see :mod:`harness.core.training.scoring`. ``recall_K`` is another for each class.
TEST_SCORES = (
    *_MEASURES,
    "auc",
    "bits_per_token",
    "cross_entropy",
    "fake",
    "frechet_distance",
    "generator_loss",
    "mean_absolute_error",
    "mean_squared_error",
    "naive_loss",
    "perplexity",
    "real",
)


def of_test_score(name: str, _study: Study, _runs: ConfigurationRuns) -> Quantity:
    """Define the test score of this name."""
    shown = msgspec.structs.replace(_MEASURES.get(name, measure(name.replace("_", " "))), key=name)
    return _tested(name, shown, lambda _runs: shown)


def _tested(name: str, score: Measure, measure_of: Callable[[ConfigurationRuns], Measure]) -> Quantity:
    """Define a test score, of which records of some runs may have another key."""
    shown = msgspec.structs.replace(score, name=f"test {score.name}")
    return Quantity(
        name, shown, lambda runs, best: runs.scores(measure_of(runs), best=best), of_samples=measure_of
    )


def _score(name: str, _study: Study, runs: ConfigurationRuns) -> Quantity:
    """Define the score of the task. Its key depends on the training loss: a squared error may be the loss."""
    return _tested(name, runs.measure, lambda own: own.measure)


def _gap(name: str, _study: Study, reference: ConfigurationRuns) -> Quantity:
    of = gap_measure(reference, reference.measure)
    shown = msgspec.structs.replace(of, name="gap", higher_is_better=False)
    return Quantity(
        name, shown, lambda runs, best: _at(runs, gap_curves(runs, runs.measure), best=best), signed=True
    )


def _training_time(name: str, study: Study, _runs: ConfigurationRuns) -> Quantity:
    """Define the training time: of all epochs if the study compares best epochs, because it trains all."""
    of_all_epochs = study.kind.at == "best"

    def values(runs: ConfigurationRuns, best: bool) -> SeedValues:
        if not best or of_all_epochs:
            return runs.training_seconds()
        return _at(runs, runs.curves("training_seconds"), best=True)

    return Quantity(name, measure("training time", "s"), values, ratio=True)


def _at(runs: ConfigurationRuns, curves: Array | None, *, best: bool) -> SeedValues:
    """Return the values of curves ``(seeds, epochs)`` at the best epoch of each, or at the last one."""
    if curves is None:
        return {}
    places = runs.best_positions if best else [-1] * len(curves)
    return dict(zip(runs.seeds, curves[np.arange(len(curves)), places].tolist(), strict=True))


def _last_epoch(run: Run, _best: bool) -> tuple[Epoch, Task] | None:
    record = run.record
    return (record.epochs[-1], record.task.description) if record.epochs else None


#: Quantities of judged runs: those of runs that share the machine have none.
JUDGED = frozenset({"time", "time to target", "memory"})
#: Quantities that belong to no part. Client drift is that of the last round, communication that of all
#: rounds; both are 0 for central training.
GENERAL: Mapping[str, Definition] = {
    "score": _score,
    "gap": _gap,
    "time": _training_time,
    "client drift": of_runs(
        measure("client drift"), _last_epoch, lambda last: last[0].train.get("client_drift") or 0.0
    ),
    "communication": of_runs(
        measure("communication", "MiB"),
        _last_epoch,
        lambda last: last[0].epoch * communicated_bytes(last[1]) / 2**20,
    ),
}
