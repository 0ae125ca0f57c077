"""The runs of one configuration in figures: quality, times, throughput, memory, stability."""

import math
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from harness.core.machine.quantities import Measured, medians
from harness.core.runs.record import Phases
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import FEWEST_FOR_INTERVAL, bounded_interval, geometric_interval
from harness.core.training.measures import Measure
from harness.learning.runs.grouping import RunGroup
from harness.learning.runs.rows import ConfigurationRuns
from harness.learning.runs.run_curves import Run


class TimeToTarget(NamedTuple):
    """The training until the validation score reached the target, in seconds and epochs."""

    seconds: Estimate | None
    reached: int
    of: int
    epochs: Estimate | None = None


@dataclass(frozen=True, slots=True)
class ConfigurationSummary:
    """The runs of one configuration in figures. Seconds, bytes, FLOP/s; quality in the measure's unit.

    ``quality`` is the test score and ``validation`` the validation score after the last epoch.
    ``training_seconds`` includes the first step.
    ``phases`` are mean seconds over runs, in order.
    """

    configuration: ConfigurationRuns
    quality: Estimate | None
    validation: Estimate | None
    step_seconds: Estimate | None
    training_seconds: Estimate | None
    to_target: TimeToTarget | None
    samples_per_second: float | None
    phases: dict[str, float]
    measured: Measured

    @property
    def name(self) -> str:
        """The configuration's name."""
        return self.configuration.name

    @property
    def has_too_few_seeds(self) -> bool:
        """True if its means are of several seeds, and of too few for an interval."""
        return 1 < len(self.configuration.runs) < FEWEST_FOR_INTERVAL

    @property
    def disturbed(self) -> bool:
        """True if other programs used the machine during a run."""
        return any(run.record.disturbed for run in self.configuration.runs)


def summarize(
    configuration: ConfigurationRuns, measure: Measure, target: float | None
) -> ConfigurationSummary:
    """Summarize a configuration; ``target`` is a validation score in the measure's unit."""
    runs = configuration.runs
    steps_by_seed = list(configuration.step_seconds().values())
    steps = geometric_interval(steps_by_seed) if steps_by_seed else None
    record = runs[0].record
    rate = record.batch_size / steps.value if steps else None
    return ConfigurationSummary(
        configuration=configuration,
        quality=bounded_interval(list(configuration.scores(measure).values()), measure.upper),
        validation=_last_validation(configuration, measure),
        step_seconds=steps,
        training_seconds=geometric_interval(list(configuration.training_seconds().values())),
        to_target=None if target is None else time_to_target(configuration, measure, target),
        samples_per_second=rate,
        phases=_phases(runs),
        measured=medians(run.record.measured for run in runs),
    )


def _last_validation(configuration: ConfigurationRuns, measure: Measure) -> Estimate | None:
    """Return the validation score after the last epoch; None if that of a run is missing or not finite."""
    curves = configuration.curves(f"validation_{measure.key}")
    if curves is None or not np.isfinite(curves[:, -1]).all():
        return None
    return bounded_interval(curves[:, -1] * measure.factor, measure.upper)


def time_to_target(configuration: ConfigurationRuns, measure: Measure, target: float) -> TimeToTarget:
    """Measure when each run's validation score first was at least as good as ``target``."""
    seconds, epochs = [], []
    for run in configuration.runs:
        if (place := run.place_of(measure, target)) is not None:
            if "training_seconds" in run.curves:
                seconds.append(run.curves["training_seconds"][place])
            epochs.append(run.curves["epoch"][place])
    return TimeToTarget(
        geometric_interval(seconds), len(epochs), len(configuration.runs), geometric_interval(epochs)
    )


def default_target(group: RunGroup, fewest: int | None = None) -> float | None:
    """Return the best validation score that every run of all configurations reaches, rounded to the worse.

    With ``fewest``, every run of at least that many configurations. It is rounded to a whole point, or to two
    digits of a score that is better when lower.
    """
    measure = group.measure
    bests = [_worst_best(configuration, measure) for configuration in group.configurations]
    known = [best for best in bests if best is not None]
    reach = len(bests) if fewest is None else fewest
    if len(known) < reach:
        return None
    worst = sorted(known, reverse=measure.higher_is_better)[reach - 1]
    if measure.higher_is_better:
        return float(math.floor(worst))
    unit = 10.0 ** max(math.floor(math.log10(worst)) - 1, sys.float_info.min_10_exp) if worst > 0 else 1.0
    return math.ceil(worst / unit) * unit


def _worst_best(configuration: ConfigurationRuns, measure: Measure) -> float | None:
    """Return the best validation score of the run with the worst best; None if a run has no finite one."""
    best_of = np.fmax.reduce if measure.higher_is_better else np.fmin.reduce  # both ignore NaN
    curves = [run.curves.get(f"validation_{measure.key}") for run in configuration.runs]
    best = [measure.factor * float(best_of(curve)) for curve in curves if curve is not None and len(curve)]
    if len(best) < len(configuration.runs) or not all(map(math.isfinite, best)):
        return None
    return min(best) if measure.higher_is_better else max(best)


#: The phases of a run in order, and the seconds of each; None where they are not known.
_PHASES: dict[str, Callable[[Phases], float | None]] = {
    "import": lambda phases: phases.import_seconds,
    "data": lambda phases: phases.data_seconds,
    "build": lambda phases: phases.build_seconds,
    "first step": lambda phases: phases.first_step_seconds,
    "steps": lambda phases: (
        None if phases.first_step_seconds is None else phases.training_seconds - phases.first_step_seconds
    ),
    "evaluation": lambda phases: phases.evaluation_seconds,
}


def _phases(runs: Sequence[Run]) -> dict[str, float]:
    """Return the mean seconds of each phase; a phase that is not judged in some run is left out."""
    means = {}
    for name, seconds_of in _PHASES.items():
        judged = [phases for run in runs if (phases := run.record.judged_seconds) is not None]
        known = [seconds for phases in judged if (seconds := seconds_of(phases)) is not None]
        if len(known) == len(runs):
            means[name] = statistics.fmean(known)
    return means


@dataclass(frozen=True, slots=True)
class TimingWarnings:
    """Reasons not to compare the times of these ``runs``, which have ``seeds`` in common.

    ``disturbed`` counts the runs during which other programs used the machine, ``unsettled`` those that ended
    before their warm-up did. ``taken`` is the largest use by other programs, in CPUs, of ``cpus``.
    """

    seeds: int
    runs: int
    disturbed: int
    unsettled: int
    taken: float
    cpus: int

    @property
    def few_seeds(self) -> bool:
        """True if there are too few common seeds for an interval."""
        return self.seeds < FEWEST_FOR_INTERVAL

    @property
    def any(self) -> bool:
        """True if the times are unreliable."""
        return self.few_seeds or bool(self.disturbed or self.unsettled)


def timing_warnings(summaries: Sequence[ConfigurationSummary], seeds: int) -> TimingWarnings:
    """Return the timing warnings of these configurations, which have ``seeds`` in common."""
    runs: list[Run] = [run for summary in summaries for run in summary.configuration.runs]
    disturbed = [run.record.interference for run in runs if run.record.disturbed]
    worst = max((load for load in disturbed if load), key=lambda load: load.others, default=None)
    return TimingWarnings(
        seeds=seeds,
        runs=len(runs),
        disturbed=len(disturbed),
        unsettled=sum(not run.settled for run in runs),
        taken=worst.others if worst else 0.0,
        cpus=worst.cpus if worst else 0,
    )
