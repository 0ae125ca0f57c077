"""Tuning of a study's variants: every one gets the same number of trials, judged on validation data.

Settings are drawn from a Latin hypercube, or by Optuna's tree-structured Parzen estimator. Trials that fall
behind end early by the median stopping rule (Golovin et al. 2017). Optuna's own pruners need the training in
this process; trials are ordinary runs in processes of their own, which a later call reuses, so that the rule
is given to a run before it begins.
"""

import itertools
import statistics
import zlib
from collections.abc import Iterator, Sequence
from math import inf
from typing import Any, NamedTuple

from harness.core.runs.record import Record
from harness.core.runs.request import RunRequest, StopRule
from harness.core.training.measures import Measure
from harness.errors import UsageError
from harness.learning.study.plan import StudyPlan
from harness.learning.study.record import Trial
from harness.learning.study.trials import best_trial, criterion, spread_settings
from harness.learning.study.variants import centre, setting
from harness.spec.description import description_sha256
from harness.spec.study import Range, StudyVariant

#: Trials that are trained to the end before others are stopped, and the share of the epochs that each gets.
_COMPLETE_TRIALS = 3
_LEAST_SHARE = 0.3


class _Asked(NamedTuple):
    """A trial under way: the tuner of its variant, Optuna's trial if it drew the settings, and these."""

    tuner: "_Tuner"
    trial: Any
    assignments: list[str]


class Tuning:
    """The trials of a study in rounds: one trial of each tuned variant in a round."""

    def __init__(self, plan: StudyPlan) -> None:
        self._plan = plan
        tuned = [variant for variant in plan.variants if variant.ranges]
        self.measure = criterion(plan.kind, plan.defined(plan.variants[0]).task)
        self._tuners = [_Tuner(variant, plan, self.measure) for variant in tuned]
        self._asked: list[_Asked] = []
        self.trials: list[Trial] = []

    def rounds(self, count: int) -> Iterator[list[RunRequest]]:
        """Yield the runs of each round. Give their records to :meth:`tell` before the next round."""
        for number in range(1, count + 1):
            self._asked = [_Asked(tuner, *tuner.ask()) for tuner in self._tuners]
            yield [
                self._plan.trial(
                    each.tuner.variant, each.assignments, f"trial {number} of {count}", each.tuner.rule()
                )
                for each in self._asked
            ]

    def tell(self, records: Sequence[Record]) -> None:
        """Take the records of a round, in any order; a trial without a record has failed."""
        by_description = {record.task.sha256: record for record in records}
        for asked in self._asked:
            task = self._plan.defined(asked.tuner.variant, asked.assignments).task
            description = description_sha256(task)
            record = by_description.get(description)
            value = asked.tuner.tell(asked.trial, record)
            stopped = record is not None and record.status == "stopped"
            self.trials.append(
                Trial(asked.tuner.variant.name, asked.assignments, description, value, stopped)
            )

    def found(self) -> dict[str, list[str]]:
        """Return the best settings of each variant; the centres of its ranges if every trial failed."""
        best = [(tuner.variant, self.best(tuner.variant.name)) for tuner in self._tuners]
        return {each.name: trial.assignments if trial else centre(each) for each, trial in best}

    def best(self, variant: str) -> Trial | None:
        """Return the best trial of a variant that was trained to the end."""
        return best_trial(self.trials, variant, self.measure)

    def reference(self) -> tuple[str, float | None]:
        """Return the variant that is best on validation data, and the target: the score of the middle winner.

        Half of the winners of tuning reached the target, however bad the worst one is. Both are fixed before
        the runs that are compared.
        """
        winners = {tuner.variant.name: self.best(tuner.variant.name) for tuner in self._tuners}
        values = {name: trial.value for name, trial in winners.items() if trial and trial.value is not None}
        if not values:
            return "", None
        ordered = sorted(values, key=values.__getitem__, reverse=self.measure.higher_is_better)
        return ordered[0], values[ordered[len(ordered) // 2]]


class _Tuner:
    """Draws the settings of one variant, and keeps the scores of its trials."""

    def __init__(self, variant: StudyVariant, plan: StudyPlan, measure: Measure) -> None:
        self.variant = variant
        self._at_best = plan.kind.at == "best"
        self._measure = measure
        self._courses: list[dict[int, float]] = []
        self._epochs = 0
        seed = zlib.crc32(variant.name.encode())  # variants under two names are tuned independently
        self._study = _optuna_study(seed) if plan.options.sampler == "tpe" else None
        self._spread = iter(spread_settings(variant.ranges, plan.trials, seed))

    def ask(self) -> tuple[Any, list[str]]:
        """Draw a trial; returns it with its settings, rounded to digits that a user can type."""
        if self._study is None:
            return None, [setting(name, value) for name, value in next(self._spread).items()]
        distributions = {each.option: _distribution(each) for each in self.variant.ranges}
        trial = self._study.ask(distributions)
        return trial, [setting(name, value) for name, value in trial.params.items()]

    def tell(self, trial: Any, record: Record | None) -> float | None:
        """Report the value of the trial's run to the sampler; returns it, None without one."""
        value = None
        if record is not None and record.status in {"ok", "stopped"} and record.epochs:
            value = self._value(record)
            if record.status == "ok":
                self._courses.append(self._course(record))
                self._epochs = max(self._epochs, record.epochs[-1].epoch)
        if self._study is not None:
            # A run that diverged is worse than any other; a trial without a value would be drawn again.
            self._study.tell(trial, inf if value is None else -self._measure.sign * value)
        return value

    def rule(self) -> StopRule | None:
        """Return the rule by which the next trial ends early; None while few were trained to the end."""
        if len(self._courses) < _COMPLETE_TRIALS:
            return None
        thresholds = []
        for epoch in sorted(set.intersection(*map(set, self._courses))):
            if _LEAST_SHARE * self._epochs <= epoch < self._epochs:
                median = statistics.median(course[epoch] for course in self._courses)
                thresholds.append((epoch, float(f"{median:.6g}")))
        better = self._measure.higher_is_better
        return StopRule(self._measure.key, better, self._at_best, tuple(thresholds))

    def _value(self, record: Record) -> float | None:
        """Return the criterion on validation data: of the best epoch, or of the last one."""
        best = [epoch for epoch in record.epochs if self._at_best and epoch.epoch == record.best_epoch]
        reached = (best or record.epochs)[-1].validation.get(self._measure.key)
        return None if reached is None else reached * self._measure.factor

    def _course(self, record: Record) -> dict[int, float]:
        """Return the value of a run by epoch: the best so far, or that of the epoch."""
        scores = {epoch.epoch: epoch.validation.get(self._measure.key) for epoch in record.epochs}
        course = {epoch: value for epoch, value in scores.items() if value is not None}
        if not self._at_best:
            return course
        best = itertools.accumulate(course.values(), max if self._measure.higher_is_better else min)
        return dict(zip(course, best, strict=True))


def _distribution(range_: Range) -> Any:
    from optuna.distributions import FloatDistribution

    return FloatDistribution(range_.low, range_.high, log=range_.log)


def _optuna_study(seed: int) -> Any:
    """Create an Optuna study that samples by its TPE; raises UsageError where Optuna is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise UsageError(
            '--sampler tpe needs Optuna, of the extra "tune": pip install "dl-harness[tune]"'
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
