"""The configurations of a group compared with the fastest of them: step time and quality.

Times are those of a duel of the two configurations where there is one, otherwise those of the runs of
the same seeds; see :func:`step_ratio`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec

from harness.core.machine.cpus import WORKER_CPUS
from harness.core.machine.worker_variables import variables_text
from harness.core.plugins.installation import identifying_versions
from harness.core.stats.equivalence import Equivalence
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import geometric_interval
from harness.core.training.measures import Measure
from harness.learning.runs.configuration_summary import (
    ConfigurationSummary,
    TimingWarnings,
    default_target,
    summarize,
    timing_warnings,
)
from harness.learning.runs.grouping import RunGroup
from harness.learning.runs.kept_apart import DifferentWork, different_work
from harness.learning.runs.population import paired_scores
from harness.learning.runs.rows import ConfigurationRuns, ratios
from harness.timing.duel.record import DuelRecord, DuelResult
from harness.timing.engine.record import ConfigurationRecord
from harness.timing.engine.workloads import PADDING

#: A strict target compares few settings; a target that all reach is set by the worst one.
_SHARE_AT_TARGET = 0.5
_FEWEST_AT_TARGET = 2
#: Variables that follow from the device or the number of threads, or only make environments equally long.
_IMPLIED = {PADDING, WORKER_CPUS, "CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS"}


class PairDuel(NamedTuple):
    """A duel of two configurations and its result; ``in_order`` if the reference was the first of them."""

    record: DuelRecord
    result: DuelResult
    in_order: bool

    @property
    def ratio(self) -> Estimate | None:
        """The step time of the other configuration divided by that of the reference."""
        ratio = self.result.ratio
        return ratio if ratio is None or self.in_order else ratio.inverse()

    @property
    def is_usable(self) -> bool:
        """True if the duel ended and its pairs can be trusted."""
        ratio = self.result.ratio
        trusted = self.record.status == "ok" and self.result.reason is None
        return trusted and ratio is not None and ratio.low is not None

    @property
    def day(self) -> str:
        """The day on which it began."""
        return self.record.started_at[:10]


def duels_of(
    duels: Sequence[DuelRecord], group: RunGroup, reference: ConfigurationRuns, other: ConfigurationRuns
) -> list[PairDuel]:
    """Return the duels of both configurations, the newest first.

    They were made under the conditions of the runs apart from the number of epochs, which does not affect a
    step. Their processes must have had the same variables as the runs: ``env.NAME`` and
    ``--process-environment plain`` make another duel.
    """
    found = []
    for duel in reversed(duels):
        if not duel.results or not _fits(duel, group):
            continue
        first, *others = duel.configurations
        for second, result in zip(others, duel.results, strict=True):
            in_order = _is(first, reference, group) and _is(second, other, group)
            if in_order or (_is(first, other, group) and _is(second, reference, group)):
                found.append(PairDuel(duel, result, in_order))
    return found


def _fits(duel: DuelRecord, group: RunGroup) -> bool:
    conditions = group.conditions
    if duel.task is None or duel.dataset is None:  # of steps of the user's own
        return False
    description = group.record.task.description
    task = msgspec.structs.replace(duel.task.description, epochs=description.epochs)
    return (
        task == description
        and duel.dataset.fingerprint == conditions.fingerprint
        and duel.machine.model_text == conditions.machine
        and (duel.machine.host or "") == conditions.host
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
    duel: PairDuel | None = None
    warnings: TimingWarnings | None = None

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

    def pair_of(self, summary: ConfigurationSummary) -> PairComparison | None:
        """Return the comparison of this configuration with the reference; None for the reference itself."""
        return next((pair for pair in self.pairs if pair.other is summary), None)


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
    summaries.sort(key=_mean_step)
    different = different_work(group)
    if not group.comparable or len(summaries) == 1 or different:
        return Comparison(group, measure, target, summaries, [], different)
    pairs = sorted(_with_fastest(group, summaries, margin, duels), key=_ratio)
    ordered = [pairs[0].reference, *(pair.other for pair in pairs)]
    return Comparison(group, measure, target, ordered, pairs)


def _with_fastest(
    group: RunGroup,
    summaries: Sequence[ConfigurationSummary],
    margin: float | None,
    duels: Sequence[DuelRecord],
) -> list[PairComparison]:
    """Compare with the configuration that no other is faster than; duels may reverse the means.

    Where duels contradict one another there is none, and a configuration stays faster than the reference.
    """
    reference = summaries[0]
    for _ in summaries:
        others = [summary for summary in summaries if summary is not reference]
        pairs = pairs_with(group, reference, others, margin, duels)
        fastest = min(pairs, key=_ratio)
        if _ratio(fastest) >= 1.0 - _ROUNDING:
            break
        reference = fastest.other
    return pairs


def _mean_step(summary: ConfigurationSummary) -> float:
    return summary.step_seconds.value if summary.step_seconds else math.inf


def _ratio(pair: PairComparison) -> float:
    return pair.ratio.value if pair.ratio else math.inf


def pairs_with(
    group: RunGroup,
    reference: ConfigurationSummary,
    others: Iterable[ConfigurationSummary],
    margin: float | None,
    duels: Sequence[DuelRecord],
) -> list[PairComparison]:
    """Compare each of these configurations of a group with the reference."""
    pairs = []
    for other in others:
        fought = duels_of(duels, group, reference.configuration, other.configuration)
        duel = next((each for each in fought if each.is_usable), None)
        ratio = duel.ratio if duel else step_ratio(other.configuration, reference.configuration)
        warnings = None if duel or ratio is None else timing_warnings([reference, other], ratio.n)
        equal = quality(other, reference, margin)
        pairs.append(PairComparison(reference, other, group.measure, ratio, equal, duel, warnings))
    return pairs


def step_ratio(configuration: ConfigurationRuns, reference: ConfigurationRuns) -> Estimate | None:
    """Divide the step time of a configuration by that of the reference: geometric mean over paired seeds.

    The runs of a pair were not made within the same minute: a drift of the machine is in the interval only
    as far as it shows between seeds. A duel of the two configurations is better evidence.
    """
    return geometric_interval(ratios(configuration.step_seconds(), reference.step_seconds()))


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
        margin = measure.margin_at(other.quality.value if other.quality else None)
    ours, theirs = ([run.record for run in each.configuration.runs] for each in (other, reference))
    return paired_scores(ours, theirs, measure).equivalence(margin, comparisons)


def compare_settings(group: RunGroup, margin: float | None = None, target: float | None = None) -> Comparison:
    """Compare settings with that of the best validation score after the last epoch.

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
    summaries.sort(key=lambda summary: _rank(summary, measure))
    different = None if group.is_of_settings else different_work(group)
    if not group.comparable or len(summaries) == 1 or different:
        return Comparison(group, measure, target, summaries, [], different)
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
