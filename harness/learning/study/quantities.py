"""What a study measures of its variants: a table of quantities, each with its values by seed.

A name that is not in the table is that of a test score, such as ``balanced_accuracy``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np

from harness.core.runs.record import Epoch
from harness.core.stats.intervals import Array
from harness.core.training.measures import Measure
from harness.core.training.outcome_records import Calibration, Generated
from harness.learning.privacy.membership import Membership, membership
from harness.learning.privacy.record import privacy_claim
from harness.learning.runs.grouping import ConfigurationRuns
from harness.learning.runs.overfit import gap_curves, gap_measure
from harness.learning.runs.run_curves import Run
from harness.learning.runs.seed_values import (
    best_positions,
    curves_of,
    scores,
    training_seconds,
)
from harness.learning.study.record import Study
from harness.spec.task import Task, communicated_bytes
from harness.weights.explain.record import ExplainedNetwork, explained_network

#: Values by seed, in the unit of the quantity.
SeedValues = dict[int, float]
#: A number of a run after the last epoch, or of the best one; None where it has none.
_OfRun = Callable[[Run, bool], float | None]
_T = TypeVar("_T")


class Quantity(NamedTuple):
    """Something measured of runs: its ``values`` after the last epoch, or at the best one.

    Changes of a ``ratio`` are quotients, and others are differences. ``of_samples`` is a test score that is a
    mean over samples, so that intervals for the population are known.
    """

    name: str
    measure: Measure
    values: Callable[[ConfigurationRuns, bool], SeedValues]
    ratio: bool = False
    of_samples: Measure | None = None


def quantity(name: str, study: Study, plain: ConfigurationRuns) -> Quantity:
    """The quantity of this name for the task of a study, whose runs ``plain`` are."""
    measure, target = plain.runs[0].measure, study.target
    match name:
        case "score":
            return _test_score(name, measure)
        case "gap":
            return _gap(measure, gap_measure(plain, measure))
        case "time":
            return _training_time(of_all_epochs=study.kind.at == "best")
        case "steps to target" | "time to target":
            amount, unit = _AMOUNTS[name]
            return Quantity(
                name,
                _measure(name, unit),
                lambda runs, _best: runs.by_seed(lambda run: _until(run, measure, target, amount)),
                ratio=True,
            )
    if name not in _OF_RUNS:
        made = _TEST_SCORES.get(name, _measure(name.replace("_", " ")))
        return _test_score(name, msgspec.structs.replace(made, key=name))
    shown, value = _OF_RUNS[name]
    return Quantity(name, shown, lambda runs, best: runs.by_seed(lambda run: value(run, best)))


def _measure(name: str, unit: str = "", factor: float = 1.0, *, higher: bool = False) -> Measure:
    relative = not unit
    margin = 0.05 if relative else 1.0
    return Measure(name, name, unit, factor, higher_is_better=higher, margin=margin, relative=relative)


def _test_score(name: str, measure: Measure) -> Quantity:
    shown = msgspec.structs.replace(measure, name=f"test {measure.name}")
    return Quantity(name, shown, lambda runs, best: scores(runs, measure, best=best), of_samples=measure)


def _gap(measure: Measure, unit: Measure) -> Quantity:
    shown = msgspec.structs.replace(unit, name="gap", higher_is_better=False)
    return Quantity("gap", shown, lambda runs, best: _at(runs, gap_curves(runs, measure), best=best))


def _training_time(*, of_all_epochs: bool) -> Quantity:
    """A study that compares best epochs trains all of them nevertheless."""

    def values(runs: ConfigurationRuns, best: bool) -> SeedValues:
        if not best or of_all_epochs:
            return training_seconds(runs)
        return _at(runs, curves_of(runs, "training_seconds"), best=True)

    return Quantity("time", _measure("training time", "s"), values, ratio=True)


def _at(runs: ConfigurationRuns, curves: Array | None, *, best: bool) -> SeedValues:
    """The values of curves ``(seeds, epochs)`` at the best epoch of each, or at the last one."""
    if curves is None:
        return {}
    places = best_positions(runs) if best else [-1] * len(curves)
    return dict(zip(runs.seeds, curves[np.arange(len(curves)), places].tolist(), strict=True))


def _until(
    run: Run, measure: Measure, target: float | None, amount: Callable[[Run, int], float]
) -> float | None:
    """What a run took until the first scored epoch whose validation score reaches the target."""
    place = None if target is None else run.place_of(measure, target)
    return None if place is None else amount(run, place)


def _steps_until(run: Run, place: int) -> float:
    last = run.record.epochs[-1]
    return float(round(run.curves["epoch"][place] * last.steps / last.epoch))


#: What is counted until the target is reached, given the place of the epoch, and its unit.
_AMOUNTS: Mapping[str, tuple[Callable[[Run, int], float], str]] = {
    "steps to target": (_steps_until, "steps"),
    "time to target": (lambda run, place: float(run.curves["training_seconds"][place]), "s"),
}


# Quantities that are a number of each run, or None where it has none.


def _rare(run: Run, *, axis: int) -> float | None:
    """In per cent, the mean over the upper half of the classes, which the study thins, of the best epoch.

    Of a confusion matrix with the classes in rows and the answers in columns the sums over axis 1 give the
    recall, those over axis 0 the precision.
    """
    outcomes = run.record.outcomes
    if outcomes is None or not outcomes.confusion:
        return None
    counts = np.array(outcomes.confusion, float)
    totals = counts.sum(axis=axis)
    shares = np.divide(counts.diagonal(), totals, out=np.zeros(len(counts)), where=totals > 0)
    return float(100.0 * shares[len(shares) // 2 :].mean())


def _of(source: Callable[[Run, bool], _T | None], read: Callable[[_T], float | None]) -> _OfRun:
    """What is read of a part of a record; None of records without this part."""
    return lambda run, best: None if (part := source(run, best)) is None else read(part)


def _calibration(run: Run, _best: bool) -> Calibration | None:
    return run.record.outcomes.calibration if run.record.outcomes else None


def _generated(run: Run, best: bool) -> Generated | None:
    outcomes = run.record.outcomes
    if outcomes is None:
        return None
    return (not best and outcomes.generated_at_last) or outcomes.generated


def _explained(run: Run, _best: bool) -> ExplainedNetwork | None:
    return explained_network(run.record)


def _attack(run: Run, _best: bool) -> Membership | None:
    return membership(run.record)


def _last_epoch(run: Run, _best: bool) -> tuple[Epoch, Task] | None:
    record = run.record
    return (record.epochs[-1], record.task.description) if record.epochs else None


#: The method of explanation whose numbers are quantities.
_MAIN_METHOD = "integrated gradients"


def _mean_difference(first: Sequence[float], second: Sequence[float]) -> float:
    return float(np.mean(np.subtract(first, second)))


_TEST_SCORES: Mapping[str, Measure] = {
    "loss": _measure("loss"),
    "accuracy": _measure("accuracy", "points", 100.0, higher=True),
    "balanced_accuracy": _measure("balanced accuracy", "points", 100.0, higher=True),
}
_OF_RUNS: Mapping[str, tuple[Measure, _OfRun]] = {
    "rare recall": (
        _measure("recall of rare classes", "points", 100.0, higher=True),
        lambda run, _best: _rare(run, axis=1),
    ),
    "rare precision": (
        _measure("precision of rare classes", "points", 100.0, higher=True),
        lambda run, _best: _rare(run, axis=0),
    ),
    "calibration error": (
        _measure("calibration error", "points", 100.0),
        _of(_calibration, lambda calibration: 100.0 * calibration.expected_error),
    ),
    "distance ratio": (
        _measure("distance ratio", higher=True),
        _of(_generated, lambda generated: generated.distance_ratio),
    ),
    "copying": (
        _measure("copying statistic", higher=True),
        _of(_generated, lambda generated: generated.copying_z),
    ),
    "called real": (
        _measure("generated images called real", "points", 100.0, higher=True),
        _of(_generated, lambda generated: 100.0 * generated.called_real["generated"]),
    ),
    "deletion gain": (
        _measure("deletion gain", higher=True),
        _of(
            _explained, lambda net: _mean_difference(net.chance_deletion, net.methods[_MAIN_METHOD].deletion)
        ),
    ),
    "insertion gain": (
        _measure("insertion gain", higher=True),
        _of(
            _explained,
            lambda net: _mean_difference(net.methods[_MAIN_METHOD].insertion, net.chance_insertion),
        ),
    ),
    "survival": (
        _measure("correlation with randomised layers"),
        _of(_explained, lambda network: network.methods[_MAIN_METHOD].randomised[-1][1]),
    ),
    "membership AUC": (_measure("membership AUC"), _of(_attack, lambda attack: attack.area.value)),
    "members found": (
        _measure("members found", "points", 100.0),
        _of(_attack, lambda attack: 100.0 * attack.true_positives.value),
    ),
    "epsilon": (
        _measure("epsilon"),
        _of(lambda run, _best: privacy_claim(run.record), lambda claim: claim.epsilon),
    ),
    # In the last round, and in all rounds; 0 for central training.
    "client drift": (
        _measure("client drift"),
        _of(_last_epoch, lambda last: last[0].train.get("client_drift") or 0.0),
    ),
    "communication": (
        _measure("communication", "MiB"),
        _of(_last_epoch, lambda last: last[0].epoch * communicated_bytes(last[1]) / 2**20),
    ),
}
