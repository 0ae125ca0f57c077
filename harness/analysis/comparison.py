"""Sides of a setting against each other: quality, time, and what the two say together.

Every side is compared with the fastest one. Times are those of a duel where there is one of the two,
otherwise those of the runs; see :func:`speed_ratio`.
"""

import dataclasses
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from harness.analysis.comparability import ConfigurationRuns, Section
from harness.analysis.duel_times import DuelTime, duel_time
from harness.analysis.run_curves import Run
from harness.duel.record import DuelRecord
from harness.spec.flops import training_flops_per_sample
from harness.stats.equivalence import Equivalence, equivalence
from harness.stats.estimate import Estimate
from harness.stats.intervals import Array, geometric_interval, mean_interval
from harness.training.measures import Measure

_DRIFT_BLOCKS = 6


class TimeToTarget(NamedTuple):
    """Training seconds until the validation score reached the target, over the runs that did."""

    seconds: Estimate | None
    reached: int
    of: int


@dataclass(frozen=True, slots=True)
class ConfigurationSummary:
    """What one side's runs say. Seconds, bytes, FLOP/s; quality in the measure's unit.

    ``drift`` is the largest relative change of the step from the first to the last third of a run,
    ``spread`` that between the medians of its runs. ``phases`` are means over runs, in order.
    """

    side: ConfigurationRuns
    quality: Estimate | None
    step_seconds: Estimate | None
    training_seconds: Estimate | None
    to_target: TimeToTarget | None
    samples_per_second: float | None
    flops_per_second: float | None
    phases: dict[str, float]
    peak_memory_bytes: float | None
    drift: float | None
    spread: float | None
    on_front: bool = field(default=False)
    """Whether no side here is both better and sooner done."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The fastest side and another: ``speed`` is how many times as fast ``fast`` trains as ``slow``.

    By ``duel`` where there was one of the two, otherwise by their runs of the same seeds.
    """

    fast: ConfigurationSummary
    slow: ConfigurationSummary
    speed: Estimate | None
    quality: Equivalence
    duel: DuelTime | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One section: its sides, fastest first, and the fastest against each other, nearest first.

    ``target`` is the validation score, in the measure's unit, whose time is told.
    """

    section: Section
    measure: Measure
    target: float | None
    sides: list[ConfigurationSummary]
    pairs: list[Pair]


def compare(
    section: Section,
    margin: float | None = None,
    target: float | None = None,
    duels: Sequence[DuelRecord] = (),
) -> Comparison:
    """Compare the sides of a section, with the times of these duels where they fit.

    ``margin`` and ``target`` are in the unit of the measure; by default the measure's own margin, and
    the best round value that every run reaches. Nothing is paired where the work
    is not certified.
    """
    measure = section.measure
    target = _default_target(section) if target is None else target
    sides = [_summary(side, measure, target) for side in section.sides]
    sides.sort(key=lambda side: side.step_seconds.value if side.step_seconds else math.inf)
    sides = _mark_front(sides, measure)
    pairs = []
    if section.setting.certified:
        fast = sides[0]
        pairs = [_pair(section, fast, slow, margin, duels) for slow in sides[1:]]
    return Comparison(section, measure, target, sides, pairs)


def _pair(
    section: Section,
    fast: ConfigurationSummary,
    slow: ConfigurationSummary,
    margin: float | None,
    duels: Sequence[DuelRecord],
) -> Pair:
    duel = duel_time(duels, section, fast.side, slow.side)
    speed = duel.speed if duel else speed_ratio(fast, slow)
    if speed and speed.value < 1.0:  # the means over all runs had it the other way round
        fast, slow, speed = slow, fast, speed.inverse()
    return Pair(fast, slow, speed, _equal(fast, slow, margin), duel)


def _summary(side: ConfigurationRuns, measure: Measure, target: float | None) -> ConfigurationSummary:
    runs = side.runs
    medians = [run.step_median for run in runs if run.step_median is not None]
    steps = geometric_interval(medians) if medians else None
    record = runs[0].record
    rate = record.batch_size / steps.value if steps else None
    flops = training_flops_per_sample(record.task.description)
    memories = [run.record.peak_memory_bytes for run in runs if run.record.peak_memory_bytes]
    drifts = [drift for run in runs if (drift := _drift(run.step_seconds)) is not None]
    return ConfigurationSummary(
        side=side,
        quality=mean_interval(list(scores(side, measure).values())),
        step_seconds=steps,
        training_seconds=mean_interval([run.record.phases.training_seconds for run in runs]),
        to_target=None if target is None else time_to_target(side, measure, target),
        samples_per_second=rate,
        flops_per_second=rate * flops if rate else None,
        phases=_phases(runs),
        peak_memory_bytes=float(np.mean(memories)) if memories else None,
        drift=max(drifts, key=abs, default=None),
        spread=max(medians) / min(medians) - 1 if len(medians) > 1 else None,
    )


def scores(side: ConfigurationRuns, measure: Measure, *, best: bool = False) -> dict[int, float]:
    """The test score of each seed in the measure's unit, where it is a finite number."""
    found = {run.record.seed: run.score(measure.key, best=best) for run in side.runs}
    return {seed: score * measure.factor for seed, score in found.items() if score is not None}


def _drift(step_seconds: Array) -> float | None:
    if len(step_seconds) < _DRIFT_BLOCKS:
        return None
    third = len(step_seconds) // 3
    first: list[float] = step_seconds[:third].tolist()
    last: list[float] = step_seconds[-third:].tolist()
    return statistics.median(last) / statistics.median(first) - 1


def _phases(runs: tuple[Run, ...]) -> dict[str, float]:
    """Mean seconds of each phase; a phase that some run did not tell is left out."""
    rows = []
    for run in runs:
        phases = run.record.phases
        first = phases.first_step_seconds
        rows.append(
            {
                "import": phases.import_seconds,
                "data": phases.data_seconds,
                "build": phases.build_seconds,
                "first step": first,
                "steps": None if first is None else phases.training_seconds - first,
                "evaluation": phases.evaluation_seconds,
            }
        )
    told = {name: [row[name] for row in rows] for name in rows[0]}
    return {
        name: math.fsum(s for s in told[name] if s is not None) / len(rows)
        for name in told
        if None not in told[name]
    }


def speed_ratio(fast: ConfigurationSummary, slow: ConfigurationSummary) -> Estimate | None:
    """How many times as fast ``fast`` steps as ``slow``: the geometric mean of the ratios of paired seeds.

    The runs of a pair were not made in the same minute, so that a drift of the machine is in the
    interval only as far as it shows between seeds. A duel of the two sides is the better witness.
    """
    fast_steps, slow_steps = _step_by_seed(fast.side), _step_by_seed(slow.side)
    common = fast_steps.keys() & slow_steps.keys()
    return geometric_interval([slow_steps[seed] / fast_steps[seed] for seed in sorted(common)])


def _step_by_seed(side: ConfigurationRuns) -> dict[int, float]:
    return {run.record.seed: run.step_median for run in side.runs if run.step_median is not None}


def _equal(fast: ConfigurationSummary, slow: ConfigurationSummary, margin: float | None) -> Equivalence:
    measure = fast.side.runs[0].measure
    if margin is None:
        level = slow.quality.value if slow.quality and measure.relative else 1.0
        margin = measure.margin * abs(level)
    return equivalence(scores(fast.side, measure), scores(slow.side, measure), margin)


def time_to_target(side: ConfigurationRuns, measure: Measure, target: float) -> TimeToTarget:
    """When each run's validation score first was at least as good as ``target``."""
    seconds = []
    for run in side.runs:
        curve = run.curves.get(f"validation_{measure.key}", np.empty(0)) * measure.factor
        good = curve >= target if measure.higher_is_better else curve <= target
        if good.any():
            seconds.append(run.curves["training_seconds"][good.argmax()])
    return TimeToTarget(geometric_interval(seconds), len(seconds), len(side.runs))


def curves_of(side: ConfigurationRuns, name: str) -> Array | None:
    """A curve of every seed ``(seeds, epochs)``, as long as the shortest."""
    found = [run.curves[name] for run in side.runs if name in run.curves]
    if len(found) < len(side.runs):
        return None
    epochs = min(len(curve) for curve in found)
    return np.stack([curve[:epochs] for curve in found]) if epochs else None


def _default_target(section: Section) -> float | None:
    """The best score that every run reaches, brought to a round value that it passes.

    That is a whole point, or two digits of a score that is better when lower.
    """
    measure = section.measure
    found = [run.curves.get(f"validation_{measure.key}") for side in section.sides for run in side.runs]
    curves = [curve * measure.factor for curve in found if curve is not None and np.isfinite(curve).any()]
    if len(curves) < len(found):
        return None
    if measure.higher_is_better:
        return float(np.floor(min(np.nanmax(curve) for curve in curves)))
    worst = max(float(np.nanmin(curve)) for curve in curves)
    unit = 10.0 ** (math.floor(math.log10(worst)) - 1) if worst > 0 else 1.0
    return math.ceil(worst / unit) * unit


def _mark_front(sides: list[ConfigurationSummary], measure: Measure) -> list[ConfigurationSummary]:
    sign = 1 if measure.higher_is_better else -1
    points = [
        (side.training_seconds.value, sign * side.quality.value)
        if side.training_seconds and side.quality
        else (math.inf, -math.inf)
        for side in sides
    ]
    return [
        dataclasses.replace(
            side,
            on_front=math.isfinite(mine[0])
            and not any(other[0] <= mine[0] and other[1] >= mine[1] and other != mine for other in points),
        )
        for side, mine in zip(sides, points, strict=True)
    ]
