"""The table of runs: a row is one configuration under its conditions, with the newest run of each seed.

A run whose times are judged comes before those of ``--jobs`` with the same seed.

All else groups these rows: by their conditions, along axes, by machine, or by the variants of a study.
"""

import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from harness.core.documents.kinds import Status
from harness.core.runs.fields import AxisValue, versions_text
from harness.core.runs.record import Phases, Record
from harness.core.runs.request import TRIAL_SEED
from harness.core.runs.sharing import FINISHED
from harness.core.stats.intervals import Array
from harness.core.training.measures import Measure
from harness.learning.runs.axes import distinctions, traits
from harness.learning.runs.conditions import Conditions
from harness.learning.runs.run_curves import Run

#: A backend with its mode as on the command line, and its versions as text.
Identity = tuple[str, str]
_T = TypeVar("_T")


@dataclass(frozen=True)
class ConfigurationRuns:
    """One backend and mode in one version of its framework: the newest ``ok`` run of each seed.

    In a group that is compared along axes it is one combination of their ``values``, in the same backend.
    """

    name: str
    """``torch:eager``, with versions where a group holds several; along axes ``learning_rate=0.1``."""
    runs: tuple[Run, ...]
    values: tuple[AxisValue, ...] = ()
    _curves: dict[str, Array | None] = field(default_factory=dict, compare=False, repr=False)

    @property
    def record(self) -> Record:
        """The record of the first seed, for what all runs have in common."""
        return self.runs[0].record

    @property
    def measure(self) -> Measure:
        """The measure of quality."""
        return self.runs[0].measure

    @cached_property
    def conditions(self) -> Conditions:
        """The conditions that all runs have in common."""
        return Conditions.of(self.record)

    @property
    def identity(self) -> Identity:
        """The configuration with its versions; ``name`` states versions only where a group holds several."""
        return _identity(self.record)

    @property
    def seeds(self) -> list[int]:
        """The seeds, in the order of the runs."""
        return [run.record.seed for run in self.runs]

    def by_seed(self, value_of: Callable[[Run], _T | None]) -> dict[int, _T]:
        """Return a value of each run by its seed; runs without the value are left out."""
        values = {run.record.seed: value_of(run) for run in self.runs}
        return {seed: value for seed, value in values.items() if value is not None}

    def scores(self, measure: Measure, *, best: bool = False) -> dict[int, float]:
        """Return the test score of each seed in the measure's unit, where it is a finite number.

        It is the score after the last epoch, or with ``best`` that of the weights of the best epoch.
        """
        by_seed = self.by_seed(lambda run: run.score(measure.key, best=best))
        return {seed: score * measure.factor for seed, score in by_seed.items()}

    def step_seconds(self) -> dict[int, float]:
        """Return the median steady step of each seed whose run has one."""
        return self.by_seed(lambda run: run.step_median)

    def training_seconds(self) -> dict[int, float]:
        """Return the training time of each seed whose times are judged, first step included."""
        return self.by_seed(lambda run: _judged(run, lambda phases: phases.training_seconds))

    def curves(self, name: str) -> Array | None:
        """Return a curve of every seed ``(seeds, epochs)``, cut to the shortest; None if a run lacks it."""
        if name not in self._curves:
            self._curves[name] = _stacked(self.runs, name)
        return self._curves[name]

    @property
    def scored_epochs(self) -> list[int] | None:
        """The numbers of the epochs whose scores the curves hold, from 1; the same for every seed."""
        numbers = self.curves("epoch")
        return None if numbers is None else numbers[0].astype(int).tolist()

    @property
    def best_positions(self) -> list[int]:
        """The position of each seed's best epoch in its curves; the last where none is known."""
        numbers = self.scored_epochs or []
        best = [run.record.best_epoch for run in self.runs]
        return [numbers.index(epoch) if epoch in numbers else len(numbers) - 1 for epoch in best]


def _identity(record: Record) -> Identity:
    return record.configuration.label, versions_text(record)


def _judged(run: Run, seconds_of: Callable[[Phases], float | None]) -> float | None:
    judged = run.record.judged_seconds
    return None if judged is None else seconds_of(judged)


def _stacked(runs: Sequence[Run], name: str) -> Array | None:
    curves = [run.curves[name] for run in runs if name in run.curves]
    if len(curves) < len(runs):
        return None
    epochs = min(map(len, curves))
    stacked: Array = np.array([curve[:epochs] for curve in curves])
    stacked.flags.writeable = False  # it is shared
    return stacked if epochs else None


def differences(ours: dict[int, float], theirs: dict[int, float]) -> list[float]:
    """Subtract ``theirs`` from ``ours`` for each seed that both have, ascending."""
    return [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]


def ratios(ours: dict[int, float], theirs: dict[int, float]) -> list[float]:
    """Divide ``ours`` by ``theirs`` for each seed that both have, ascending."""
    return [ours[seed] / theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]


#: The reason why a run is left out: how it ended, that a newer run has the same seed, or that it is a trial.
Reason = Status | Literal["superseded", "trial"]
_LONGEST_MESSAGE = 160


class LeftOut(NamedTuple):
    """Runs that nothing uses, and the reason."""

    task: str
    configuration: str
    reason: Reason
    message: str
    runs: int


class Rows(NamedTuple):
    """The table of runs, and the runs that are in no row."""

    rows: list[ConfigurationRuns]
    left_out: list[LeftOut]


def rows_of(runs: Iterable[Run]) -> Rows:
    """Make the table of these runs; leave out trials of studies, which only choose settings."""
    by_row: dict[tuple[Conditions, Identity], dict[int, Run]] = defaultdict(dict)
    failed: list[Record] = []
    left_out: Counter[tuple[str, str, Reason, str]] = Counter()
    for run in sorted(runs, key=lambda run: (run.record.making is None, run.record.started_at)):
        record = run.record
        name = record.task.name, record.configuration.label
        if record.seed == TRIAL_SEED and record.status in FINISHED:
            left_out[*name, "trial", ""] += 1
        elif record.status != "ok":
            failed.append(record)
        else:
            by_seed = by_row[Conditions.of(record), _identity(record)]
            left_out[*name, "superseded", ""] += record.seed in by_seed
            by_seed[record.seed] = run
    rows = [
        ConfigurationRuns(label, tuple(run for _, run in sorted(by_seed.items())))
        for (_, (label, _)), by_seed in by_row.items()
    ]
    left_out += _failed(failed, [row.record for row in rows])
    return Rows(rows, [LeftOut(*key, runs=count) for key, count in left_out.items()])


def _failed(failed: Sequence[Record], usable: Sequence[Record]) -> Counter[tuple[str, str, Reason, str]]:
    """Count the runs that are not usable by how they ended, each named with the options that set it apart."""
    if not failed:
        return Counter()
    every = {Conditions.of(record): record for record in (*usable, *failed)}
    apart = distinctions({conditions: traits(conditions, record) for conditions, record in every.items()})
    left_out: Counter[tuple[str, str, Reason, str]] = Counter()
    for record in failed:
        named = {*record.task.options, *(["batch"] if record.batch_size else [])}
        own = [each.text for each in apart[Conditions.of(record)] if each.name in named]
        name = ", ".join([record.configuration.label, *own])
        left_out[record.task.name, name, record.status, _message(record)] += 1
    return left_out


def _message(record: Record) -> str:
    """Return the first line of a failure's message."""
    text = record.failure.message.partition("\n")[0] if record.failure else ""
    return textwrap.shorten(text, _LONGEST_MESSAGE) if text else ""
