"""Values of a configuration seed by seed: test scores, step times, and curves stacked over seeds.

They are computed once for each configuration, because several analyses need them.
"""

from collections.abc import Callable, Hashable
from typing import TypeVar

import numpy as np

from harness.core.runs.record import Phases
from harness.core.stats.intervals import Array
from harness.core.training.measures import Measure
from harness.learning.runs.grouping import ConfigurationRuns

_V = TypeVar("_V")


def _once(configuration: ConfigurationRuns, key: Hashable, compute: Callable[[], _V]) -> _V:
    """Return the value kept under ``key``, computed the first time."""
    if key not in configuration.cache:
        configuration.cache[key] = compute()
    value: _V = configuration.cache[key]
    return value


def scores(configuration: ConfigurationRuns, measure: Measure, *, best: bool = False) -> dict[int, float]:
    """Return the test score of each seed in the measure's unit, where it is a finite number.

    It is the score after the last epoch, or with ``best`` that of the weights of the best epoch.
    """

    def compute() -> dict[int, float]:
        by_seed = configuration.by_seed(lambda run: run.score(measure.key, best=best))
        return {seed: score * measure.factor for seed, score in by_seed.items()}

    return _once(configuration, ("scores", measure.key, measure.factor, best), compute)


def step_seconds(configuration: ConfigurationRuns) -> dict[int, float]:
    """Return the median steady step of each seed whose run has one."""
    return configuration.by_seed(lambda run: run.step_median)


def training_seconds(configuration: ConfigurationRuns) -> dict[int, float]:
    """Return the training time of each seed, first step included."""
    return configuration.by_seed(lambda run: run.record.phases.training_seconds)


def run_seconds(configuration: ConfigurationRuns) -> dict[int, float]:
    """Return the time of each seed from the import to the last score, where every phase is known."""
    return configuration.by_seed(lambda run: _total(run.record.phases))


def _total(phases: Phases) -> float | None:
    known = [seconds for seconds in phases.spent if seconds is not None]
    return sum(known) if len(known) == len(phases.spent) else None


def differences(ours: dict[int, float], theirs: dict[int, float], sign: float = 1.0) -> list[float]:
    """Subtract ``theirs`` from ``ours``, times ``sign``, for each seed that both have, ascending."""
    return [sign * (ours[seed] - theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]


def ratios(ours: dict[int, float], theirs: dict[int, float]) -> list[float]:
    """Divide ``ours`` by ``theirs`` for each seed that both have, ascending."""
    return [ours[seed] / theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]


def curves_of(configuration: ConfigurationRuns, name: str) -> Array | None:
    """Return a curve of every seed ``(seeds, epochs)``, cut to the shortest; None where a run lacks it."""
    return _once(configuration, ("curves", name), lambda: _stacked(configuration, name))


def scored_epochs(configuration: ConfigurationRuns) -> list[int] | None:
    """Return the numbers of the epochs whose scores the curves hold, from 1; the same for every seed."""
    numbers = curves_of(configuration, "epoch")
    return None if numbers is None else numbers[0].astype(int).tolist()


def best_positions(configuration: ConfigurationRuns) -> list[int]:
    """Return the position of each seed's best epoch in its curves; the last where none is known."""
    numbers = scored_epochs(configuration) or []
    best = [run.record.best_epoch for run in configuration.runs]
    return [numbers.index(epoch) if epoch in numbers else len(numbers) - 1 for epoch in best]


def _stacked(configuration: ConfigurationRuns, name: str) -> Array | None:
    curves = [run.curves[name] for run in configuration.runs if name in run.curves]
    if len(curves) < len(configuration.runs):
        return None
    epochs = min(map(len, curves))
    stacked: Array = np.array([curve[:epochs] for curve in curves])
    stacked.flags.writeable = False  # it is shared
    return stacked if epochs else None
