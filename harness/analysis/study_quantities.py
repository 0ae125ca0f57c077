"""What a study measures of its variants: a table of quantities, each with its values by seed.

A name that is not in the table is that of a test score, such as ``balanced_accuracy``.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from harness.analysis.grouping import ConfigurationRuns
from harness.analysis.membership import membership
from harness.analysis.overfit import gap_curves, gap_measure
from harness.analysis.run_curves import Run
from harness.analysis.seed_values import (
    best_positions,
    curves_of,
    scores,
    sign_of_gain,
    training_seconds,
)
from harness.analysis.study import Study
from harness.explain.records import ExplainedNetwork
from harness.spec.task import communicated_bytes
from harness.training.measures import Measure

#: Values by seed, in the unit of the quantity.
SeedValues = dict[int, float]


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
    make = _QUANTITIES.get(name)
    return make(name, study, plain) if make else _test_score(name, study, plain)


def _measure(name: str, unit: str = "", factor: float = 1.0, *, higher: bool = False) -> Measure:
    relative = not unit
    margin = 0.05 if relative else 1.0
    return Measure(name, name, unit, factor, higher_is_better=higher, margin=margin, relative=relative)


def _score(name: str, _study: Study, plain: ConfigurationRuns) -> Quantity:
    measure = plain.runs[0].measure
    shown = msgspec.structs.replace(measure, name=f"test {measure.name}")
    return Quantity(name, shown, lambda runs, best: scores(runs, measure, best=best), of_samples=measure)


def _test_score(name: str, _study: Study, _plain: ConfigurationRuns) -> Quantity:
    measure = _TEST_SCORES.get(name, _measure(name.replace("_", " ")))
    read = msgspec.structs.replace(measure, key=name)
    shown = msgspec.structs.replace(read, name=f"test {measure.name}")
    return Quantity(name, shown, lambda runs, best: scores(runs, read, best=best), of_samples=read)


def _gap(name: str, _study: Study, plain: ConfigurationRuns) -> Quantity:
    measure = plain.runs[0].measure
    unit = gap_measure(plain, measure)
    shown = msgspec.structs.replace(unit, name="gap", higher_is_better=False)

    def values(runs: ConfigurationRuns, best: bool) -> SeedValues:
        curves = gap_curves(runs, measure)
        if curves is None:
            return {}
        places = best_positions(runs) if best else [-1] * len(curves)
        return dict(zip(runs.seeds, curves[np.arange(len(curves)), places].tolist(), strict=True))

    return Quantity(name, shown, values)


def _training_time(name: str, study: Study, _plain: ConfigurationRuns) -> Quantity:
    def values(runs: ConfigurationRuns, best: bool) -> SeedValues:
        # A study that compares best epochs trains all of them nevertheless.
        if not best or study.kind.at == "best":
            return training_seconds(runs)
        curves = curves_of(runs, "training_seconds")
        if curves is None:
            return {}
        stops = curves[np.arange(len(curves)), best_positions(runs)]
        return dict(zip(runs.seeds, stops.tolist(), strict=True))

    return Quantity(name, _measure("training time", "s"), values, ratio=True)


def _to_target(name: str, study: Study, plain: ConfigurationRuns) -> Quantity:
    measure, target = plain.runs[0].measure, study.target

    def values(runs: ConfigurationRuns, _best: bool) -> SeedValues:
        if target is None:
            return {}
        reached = {run.record.seed: _reached(run, measure, target) for run in runs.runs}
        places = {seed: place for seed, place in reached.items() if place is not None}
        by_seed = {run.record.seed: run for run in runs.runs}
        return {seed: _amount(by_seed[seed], place, name) for seed, place in places.items()}

    unit = "s" if name == "time to target" else "steps"
    return Quantity(name, _measure(name, unit), values, ratio=True)


def _reached(run: Run, measure: Measure, target: float) -> int | None:
    """The place of the first scored epoch whose validation score reaches the target."""
    curve = run.curves.get(f"validation_{measure.key}")
    if curve is None:
        return None
    sign = sign_of_gain(measure)
    places = np.flatnonzero(sign * curve * measure.factor >= sign * target)
    return int(places[0]) if len(places) else None


def _amount(run: Run, place: int, name: str) -> float:
    """The training seconds, or the steps, until a scored epoch."""
    if name == "time to target":
        return float(run.curves["training_seconds"][place])
    last = run.record.epochs[-1]
    return float(round(run.curves["epoch"][place] * last.steps / last.epoch))


def _of_rare_classes(name: str, _study: Study, _plain: ConfigurationRuns) -> Quantity:
    """The mean recall or precision of the classes that the study thins, of the best epoch."""

    def values(runs: ConfigurationRuns, _best: bool) -> SeedValues:
        found = {run.record.seed: _share_right(run, of_answers=name == "rare precision") for run in runs.runs}
        return {seed: share for seed, share in found.items() if share is not None}

    label = "precision of rare classes" if name == "rare precision" else "recall of rare classes"
    return Quantity(name, _measure(label, "points", 100.0, higher=True), values)


def _share_right(run: Run, *, of_answers: bool) -> float | None:
    """The mean over the upper half of the classes, in per cent."""
    outcomes = run.record.outcomes
    if outcomes is None or not outcomes.confusion:
        return None
    counts = np.array(outcomes.confusion, float)
    totals = counts.sum(axis=0 if of_answers else 1)
    shares = np.divide(counts.diagonal(), totals, out=np.zeros(len(counts)), where=totals > 0)
    return float(100.0 * shares[len(shares) // 2 :].mean())


def _calibration(name: str, _study: Study, _plain: ConfigurationRuns) -> Quantity:
    """The expected calibration error, of the best epoch."""

    def values(runs: ConfigurationRuns, _best: bool) -> SeedValues:
        found = {run.record.seed: run.record.outcomes for run in runs.runs}
        return {
            seed: 100.0 * outcomes.calibration.expected_error
            for seed, outcomes in found.items()
            if outcomes is not None and outcomes.calibration is not None
        }

    return Quantity(name, _measure("calibration error", "points", 100.0), values)


def _of_generated(name: str, _study: Study, _plain: ConfigurationRuns) -> Quantity:
    """How near generated images are to training images, and whether they are called real."""
    measures = {
        "distance ratio": _measure("distance ratio", higher=True),
        "copying": _measure("copying statistic", higher=True),
        "called real": _measure("generated images called real", "points", 100.0, higher=True),
    }

    def values(runs: ConfigurationRuns, best: bool) -> SeedValues:
        found: SeedValues = {}
        for run in runs.runs:
            outcomes = run.record.outcomes
            seen = outcomes and ((not best and outcomes.generated_at_last) or outcomes.generated)
            if not seen:
                continue
            if name == "called real":
                found[run.record.seed] = 100.0 * seen.called_real["generated"]
            elif name == "copying":
                found[run.record.seed] = seen.copying_z
            elif seen.distance_ratio is not None:
                found[run.record.seed] = seen.distance_ratio
        return found

    return Quantity(name, measures[name], values)


#: The method of explanation whose numbers are quantities.
_MAIN_METHOD = "integrated gradients"


def _of_explanations(name: str, _study: Study, _plain: ConfigurationRuns) -> Quantity:
    """What maps of the best epoch are worth: gains over a random order, and what randomised layers leave."""
    measures = {
        "deletion gain": _measure("deletion gain", higher=True),
        "insertion gain": _measure("insertion gain", higher=True),
        "survival": _measure("correlation with randomised layers"),
    }

    def value(network: ExplainedNetwork) -> float | None:
        maps = network.methods[_MAIN_METHOD]
        if name == "survival":
            return maps.randomised[-1][1]
        if name == "deletion gain":
            return float(np.mean(np.subtract(network.chance_deletion, maps.deletion)))
        return float(np.mean(np.subtract(maps.insertion, network.chance_insertion)))

    def values(runs: ConfigurationRuns, _best: bool) -> SeedValues:
        networks = {run.record.seed: run.record.explained for run in runs.runs}
        found = {seed: value(network) for seed, network in networks.items() if network is not None}
        return {seed: number for seed, number in found.items() if number is not None}

    return Quantity(name, measures[name], values)


def _privacy(name: str, _study: Study, _plain: ConfigurationRuns) -> Quantity:
    """What membership inference finds after the last epoch, and what DP-SGD claims."""
    measures = {
        "membership AUC": _measure("membership AUC"),
        "members found": _measure("members found", "points", 100.0),
        "epsilon": _measure("epsilon"),
    }

    def values(runs: ConfigurationRuns, _best: bool) -> SeedValues:
        found: SeedValues = {}
        for record in (run.record for run in runs.runs):
            if name == "epsilon":
                if record.privacy is not None and record.privacy.epsilon is not None:
                    found[record.seed] = record.privacy.epsilon
            elif (seen := membership(record)) is not None:
                area = name == "membership AUC"
                found[record.seed] = seen.area.value if area else 100.0 * seen.true_positives.value
        return found

    return Quantity(name, measures[name], values)


def _of_clients(name: str, _study: Study, _plain: ConfigurationRuns) -> Quantity:
    """How far clients part in the last round, and what all rounds have sent; 0 for central training."""

    def values(runs: ConfigurationRuns, _best: bool) -> SeedValues:
        found: SeedValues = {}
        for run in (run for run in runs.runs if run.record.epochs):
            task, last = run.record.task.description, run.record.epochs[-1]
            if name == "communication":
                found[run.record.seed] = last.epoch * communicated_bytes(task) / 2**20
            else:
                found[run.record.seed] = last.train.get("client_drift") or 0.0
        return found

    unit = "MiB" if name == "communication" else ""
    return Quantity(name, _measure(name, unit), values)


_TEST_SCORES: Mapping[str, Measure] = {
    "loss": _measure("loss"),
    "accuracy": _measure("accuracy", "points", 100.0, higher=True),
    "balanced_accuracy": _measure("balanced accuracy", "points", 100.0, higher=True),
}
_QUANTITIES: Mapping[str, Callable[[str, Study, ConfigurationRuns], Quantity]] = {
    "score": _score,
    "gap": _gap,
    "time": _training_time,
    "steps to target": _to_target,
    "time to target": _to_target,
    "rare recall": _of_rare_classes,
    "rare precision": _of_rare_classes,
    "calibration error": _calibration,
    "distance ratio": _of_generated,
    "copying": _of_generated,
    "called real": _of_generated,
    "deletion gain": _of_explanations,
    "insertion gain": _of_explanations,
    "survival": _of_explanations,
    "membership AUC": _privacy,
    "members found": _privacy,
    "epsilon": _privacy,
    "client drift": _of_clients,
    "communication": _of_clients,
}
