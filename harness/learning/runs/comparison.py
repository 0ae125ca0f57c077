"""The configurations of a group compared with the fastest of them: step time and quality.

Times are those of a duel of the two configurations where there is one, otherwise those of the runs of
the same seeds; see :func:`step_ratio`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from harness.core.certify.dropout import uses_dropout
from harness.core.machine.cpus import WORKER_CPUS
from harness.core.machine.worker_variables import variables_text
from harness.core.plugins.installation import identifying_versions
from harness.core.stats.deviations import exceeds, largest
from harness.core.stats.equivalence import Equivalence
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import geometric_interval
from harness.core.training.measures import Measure
from harness.learning.runs.axes import has_equal_losses
from harness.learning.runs.configuration_summary import (
    ConfigurationSummary,
    TimingWarnings,
    default_target,
    mark_front,
    summarize,
    timing_warnings,
)
from harness.learning.runs.grouping import ConfigurationRuns, DifferentWork, RunGroup, different_work
from harness.learning.runs.population import paired_scores
from harness.learning.runs.seed_values import curves_of, ratios, step_seconds
from harness.timing.duel.record import DuelRecord, DuelResult
from harness.timing.engine.record import ConfigurationRecord
from harness.timing.engine.workloads import PADDING

#: A strict target compares few settings; a target that all reach is set by the worst one.
_SHARE_AT_TARGET = 0.5
_FEWEST_AT_TARGET = 2
#: Variables that follow from the device or the number of threads, or only make environments equally long.
_IMPLIED = {PADDING, WORKER_CPUS, "CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS"}


class DuelTime(NamedTuple):
    """The ratio of step times of two configurations from a duel, and that duel's result.

    ``margin`` is the difference up to which the duel calls them the same, such as 0.02.
    """

    ratio: Estimate
    margin: float
    result: DuelResult
    day: str


def duel_time(
    duels: Sequence[DuelRecord], group: RunGroup, reference: ConfigurationRuns, other: ConfigurationRuns
) -> DuelTime | None:
    """Return the time of ``other`` over that of ``reference`` from their newest usable duel, if any.

    A duel is usable if it ended and its pairs can be trusted.
    """
    for duel, result, in_order in _fitting(duels, group, reference, other):
        ratio = result.ratio
        if duel.status == "ok" and result.reason is None and ratio is not None and ratio.low is not None:
            return DuelTime(ratio if in_order else ratio.inverse(), duel.margin, result, duel.started_at[:10])
    return None


class LastDuel(NamedTuple):
    """The newest duel of two configurations, usable or not, and its result."""

    record: DuelRecord
    result: DuelResult

    @property
    def day(self) -> str:
        """The day on which it began."""
        return self.record.started_at[:10]

    @property
    def pairs_needed(self) -> int | None:
        """About how many pairs a verdict takes; None where the pairs do not show it."""
        wanted = self.result.pairs_wanted
        return None if wanted is None else self.result.pairs + wanted

    @property
    def seconds_needed(self) -> float:
        """About how long a duel of so many pairs takes."""
        made = len(self.record.pairs)
        return self.record.seconds / made * (self.pairs_needed or 0) if made else 0.0


def _fitting(
    duels: Sequence[DuelRecord], group: RunGroup, reference: ConfigurationRuns, other: ConfigurationRuns
) -> Iterator[tuple[DuelRecord, DuelResult, bool]]:
    """Yield the results about both configurations, the newest first, and whether ``reference`` was first.

    Their duels were made under the conditions of the runs apart from the number of epochs, which does not
    affect a step. Their processes must have had the same variables as the runs: ``env.NAME`` and
    ``--process-environment plain`` make another duel.
    """
    for duel in reversed(duels):
        if not duel.results or not _fits(duel, group):
            continue
        first, *others = duel.configurations
        for second, result in zip(others, duel.results, strict=True):
            in_order = _is(first, reference, group) and _is(second, other, group)
            if in_order or (_is(first, other, group) and _is(second, reference, group)):
                yield duel, result, in_order


def _fits(duel: DuelRecord, group: RunGroup) -> bool:
    conditions = group.conditions
    if duel.task is None or duel.dataset is None:  # of steps of the user's own
        return False
    description = group.configurations[0].runs[0].record.task.description
    task = msgspec.structs.replace(duel.task.description, epochs=description.epochs)
    return (
        task == description
        and duel.dataset.fingerprint == conditions.fingerprint
        and duel.machine.model_text == conditions.machine
        and duel.machine.host_text == conditions.host
        and variables_text(duel.inherited_variables) == conditions.variables
        and all(own.certificate and own.certificate.certified for own in duel.configurations)
    )


def _is(of_duel: ConfigurationRecord, of_runs: ConfigurationRuns, group: RunGroup) -> bool:
    record, conditions = of_runs.runs[0].record, group.conditions
    return (
        (of_duel.configuration.backend, of_duel.configuration.mode)
        == (record.configuration.backend, record.configuration.mode)
        and identifying_versions(of_duel.configuration.backend, of_duel.framework)
        == identifying_versions(record.configuration.backend, record.framework)
        and (of_duel.configuration.precision, of_duel.configuration.threads)
        == (conditions.precision, conditions.threads)
        and (of_duel.device, of_duel.batch_size) == (conditions.device, record.batch_size)
        and _distinctive(of_duel.variables) == _distinctive(record.worker_variables)
    )


def _distinctive(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name not in _IMPLIED}


_ROUNDING = 1e-9

SpeedVerdict = Literal["slower", "faster", "same", "undecided", "unreliable", "not measured"]
QualityVerdict = Literal["equal", "better", "worse", "undecided"]


@dataclass(frozen=True, slots=True)
class PairComparison:
    """A configuration compared with the reference, which is the fastest of the group.

    ``ratio`` is the step time of ``other`` divided by that of ``reference``, from ``duel`` where there is
    one; otherwise ``warnings`` are those about the times of the runs. ``quality`` is of the test scores of
    ``other`` less those of ``reference`` on the same seeds.
    """

    reference: ConfigurationSummary
    other: ConfigurationSummary
    measure: Measure
    ratio: Estimate | None
    quality: Equivalence
    duel: DuelTime | None = None
    warnings: TimingWarnings | None = None
    last_duel: LastDuel | None = None
    """Also where it has no time that can be used."""

    @property
    def speed_verdict(self) -> SpeedVerdict:
        """The verdict on the speed of ``other``; without a duel a 95 % interval decides.

        Times of runs about which there are warnings are unreliable, whatever their ratio.
        """
        if self.ratio is None:
            return "not measured"
        if self.warnings is not None and self.warnings.any:
            return "unreliable"
        verdict = self.duel.result.verdict if self.duel is not None else None
        if verdict == "same":
            return "same"
        if verdict == "undecided":
            return "undecided"
        if self.duel is None and not self.ratio.excludes(1.0):
            return "undecided"
        return "slower" if self.ratio.value > 1.0 else "faster"

    @property
    def quality_verdict(self) -> QualityVerdict:
        """The verdict on the quality of ``other``."""
        if self.quality.verdict != "different" or self.quality.difference is None:
            return "equal" if self.quality.verdict == "equal" else "undecided"
        better = (self.quality.difference.value > 0) == self.measure.higher_is_better
        return "better" if better else "worse"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One group: its configurations, the reference (the fastest) first, and each other one compared with it.

    ``target`` is the validation score, in the measure's unit, to which training time is reported.
    ``pairs`` follow the order of ``summaries``; it is empty where the work is not certified or differs.
    """

    group: RunGroup
    measure: Measure
    target: float | None
    summaries: list[ConfigurationSummary]
    pairs: list[PairComparison]
    different: DifferentWork | None = None
    """Two configurations that do different work."""
    cycle: list[ConfigurationSummary] = field(default_factory=list)
    """Each of these is slower than another of them, so that none is the fastest."""

    def pair_of(self, summary: ConfigurationSummary) -> PairComparison | None:
        """Return the comparison of this configuration with the reference; None for the reference itself."""
        return next((pair for pair in self.pairs if pair.other is summary), None)


class Coincidence(NamedTuple):
    """Configurations that compute the same according to their scores, in the measure's unit.

    ``distance`` is the largest between the mean curves of any of them and of the reference on the same seeds,
    at any epoch, on training or validation samples; ``scores`` are the mean test scores.
    """

    distance: float
    scores: list[float]


def coincidence(comparison: Comparison) -> Coincidence | None:
    """Check that certified configurations coincide: all curves and test scores are within the margin.

    None where they do not, where dropout makes the framework draw, or where the axes change the rounding.
    """
    group, pairs = comparison.group, comparison.pairs
    task = group.configurations[0].runs[0].record.task.description
    if not pairs or not group.conditions.certified or not has_equal_losses(group.axes) or uses_dropout(task):
        return None
    if any(pair.quality.difference is None or pair.quality.verdict == "different" for pair in pairs):
        return None
    distances = [_curve_distance(pair) for pair in pairs]
    known = [distance for distance in distances if distance is not None]
    apart = [abs(pair.quality.difference.value) for pair in pairs if pair.quality.difference]
    margin = min(pair.quality.margin for pair in pairs)
    if len(known) < len(pairs) or exceeds(largest((*known, *apart)), margin):
        return None
    return Coincidence(largest(known), [each.quality.value for each in comparison.summaries if each.quality])


def _curve_distance(pair: PairComparison) -> float | None:
    """Return the largest distance of the mean curves at one epoch; None without curves of common seeds."""
    ours, theirs = pair.other.configuration, pair.reference.configuration
    common = set(ours.seeds) & set(theirs.seeds)
    distances = []
    for split in ("train", "validation"):
        curves = [curves_of(side, f"{split}_{pair.measure.key}") for side in (ours, theirs)]
        if not common or any(curve is None for curve in curves):
            return None
        first, second = (
            curve[[seed in common for seed in side.seeds]].mean(axis=0)
            for curve, side in zip(curves, (ours, theirs), strict=True)
            if curve is not None
        )
        epochs = min(len(first), len(second))
        distances.append(float(np.max(np.abs(first[:epochs] - second[:epochs]))))
    distance = pair.measure.factor * largest(distances)
    return distance if math.isfinite(distance) else None


def compare(
    group: RunGroup,
    margin: float | None = None,
    target: float | None = None,
    duels: Sequence[DuelRecord] = (),
) -> Comparison:
    """Compare the configurations of a group, using the times of duels that fit.

    ``margin`` and ``target`` are in the unit of the measure. By default the margin is that of the measure,
    a relative one of the score of the configuration that is compared with the reference, and the target the
    best round value that every run reaches. Work that is not certified or differs is not compared.
    """
    measure = group.measure
    target = default_target(group) if target is None else target
    summaries = [summarize(configuration, measure, target) for configuration in group.configurations]
    summaries = mark_front(sorted(summaries, key=_mean_step), measure)
    different = different_work(group)
    if not group.comparable or len(summaries) == 1 or different:
        return Comparison(group, measure, target, summaries, [], different)
    pairs, cycle = _with_fastest(group, summaries, margin, duels)
    pairs.sort(key=_ratio)
    ordered = [pairs[0].reference, *(pair.other for pair in pairs)]
    return Comparison(group, measure, target, ordered, pairs, cycle=cycle)


def _with_fastest(
    group: RunGroup,
    summaries: Sequence[ConfigurationSummary],
    margin: float | None,
    duels: Sequence[DuelRecord],
) -> tuple[list[PairComparison], list[ConfigurationSummary]]:
    """Compare with the configuration that no other is faster than; duels may reverse the means.

    If each of several is slower than another of them, the last one tried is the reference, and they follow.
    """
    references = [summaries[0]]
    while True:
        others = [summary for summary in summaries if summary is not references[-1]]
        pairs = _pairs(group, [references[-1], *others], margin, duels)
        fastest = min(pairs, key=_ratio)
        if _ratio(fastest) >= 1.0 - _ROUNDING:
            return pairs, []
        for place, earlier in enumerate(references):
            if earlier is fastest.other:
                return pairs, references[place:]
        references.append(fastest.other)


def _mean_step(summary: ConfigurationSummary) -> float:
    return summary.step_seconds.value if summary.step_seconds else math.inf


def _ratio(pair: PairComparison) -> float:
    return pair.ratio.value if pair.ratio else math.inf


def _pairs(
    group: RunGroup,
    summaries: Sequence[ConfigurationSummary],
    margin: float | None,
    duels: Sequence[DuelRecord],
) -> list[PairComparison]:
    """Compare each configuration but the first with the first."""
    reference, *others = summaries
    pairs = []
    for other in others:
        duel = duel_time(duels, group, reference.configuration, other.configuration)
        ratio = duel.ratio if duel else step_ratio(other.configuration, reference.configuration)
        warnings = None if duel or ratio is None else timing_warnings([reference, other], ratio.n)
        equal = quality(other, reference, margin)
        fitting = _fitting(duels, group, reference.configuration, other.configuration)
        last = next((LastDuel(record, result) for record, result, _ in fitting), None)
        pairs.append(PairComparison(reference, other, group.measure, ratio, equal, duel, warnings, last))
    return pairs


def step_ratio(configuration: ConfigurationRuns, reference: ConfigurationRuns) -> Estimate | None:
    """Divide the step time of a configuration by that of the reference: geometric mean over paired seeds.

    The runs of a pair were not made within the same minute: a drift of the machine is in the interval only
    as far as it shows between seeds. A duel of the two configurations is better evidence.
    """
    return geometric_interval(ratios(step_seconds(configuration), step_seconds(reference)))


def quality(
    other: ConfigurationSummary,
    reference: ConfigurationSummary,
    margin: float | None,
    comparisons: int = 1,
) -> Equivalence:
    """Compare the test scores of ``other`` with those of ``reference`` on the same seeds.

    The verdict rests on the wider of the intervals over seeds and for the population; those of several
    ``comparisons`` hold jointly. The default margin is that of the measure.
    """
    measure = reference.configuration.runs[0].measure
    if margin is None:
        level = other.quality.value if other.quality and measure.relative else 1.0
        margin = measure.margin * abs(level)
    ours, theirs = ([run.record for run in each.configuration.runs] for each in (other, reference))
    return paired_scores(ours, theirs, measure).equivalence(margin, comparisons)


def compare_settings(group: RunGroup, margin: float | None = None, target: float | None = None) -> Comparison:
    """Compare the settings of a group with the one of the best validation score after the last epoch.

    ``margin`` and ``target`` as in :func:`compare`, but the default target is the best round value that every
    run of at least half of the settings reaches. The intervals of the differences hold jointly. Test scores
    have no part in the choice of the reference. No ratio of times is given: the steps of settings are
    different work.
    """
    measure = group.measure
    if target is None:
        fewest = max(_FEWEST_AT_TARGET, math.ceil(_SHARE_AT_TARGET * len(group.configurations)))
        target = default_target(group, min(fewest, len(group.configurations)))
    summaries = [summarize(configuration, measure, target) for configuration in group.configurations]
    summaries = mark_front(sorted(summaries, key=lambda summary: _rank(summary, measure)), measure)
    if not group.comparable or len(summaries) == 1:
        return Comparison(group, measure, target, summaries, [])
    best, *others = summaries
    pairs = [
        PairComparison(best, other, measure, None, quality(other, best, margin, len(others)))
        for other in others
    ]
    return Comparison(group, measure, target, summaries, pairs)


def _rank(summary: ConfigurationSummary, measure: Measure) -> tuple[bool, float]:
    """Return the sort key of a setting: by validation score, then those without one by their test score."""
    score = summary.validation or summary.quality
    rank = math.inf if score is None else -measure.sign * score.value
    return summary.validation is None, rank
