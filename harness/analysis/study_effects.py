"""Effects of a study's remedies: each compared with the plain task on the same seeds."""

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from harness.analysis.grouping import ConfigurationRuns, NoPlainRuns, RunGroup
from harness.analysis.overfit import Overfitting, gap_curves, gap_measure, overfitting
from harness.analysis.run_curves import Run
from harness.analysis.seed_values import (
    best_positions,
    differences,
    ratios,
    scores,
    sign_of_gain,
    training_seconds,
)
from harness.analysis.study import Study, Variant
from harness.stats.estimate import Estimate
from harness.stats.intervals import (
    Array,
    bounded_interval,
    geometric_interval,
    joint_confidence,
    mean_interval,
)
from harness.training.measures import Measure

#: Computed from the plain runs alone, at their best epochs.
EARLY_STOPPING = "early stopping"
#: These show the value of data; they are never recommended.
DATA_VARIANTS = {"half the data", "a quarter of the data", "all data"}


@dataclass(frozen=True, slots=True)
class Effect:
    """A remedy on one configuration: levels, and changes from the plain runs of the same seeds.

    ``score`` is in the unit of the finding's measure, ``gap`` in that of its ``gap_measure``. A positive
    ``score_change`` is better. ``time_ratio`` is of training seconds. The intervals of changes hold for all
    remedies together, because one of several is chosen by them.
    """

    variant: Variant
    seeds: int
    gap: Estimate | None
    score: Estimate | None
    gap_change: Estimate | None
    score_change: Estimate | None
    time_ratio: Estimate | None


@dataclass(frozen=True, slots=True)
class StudyFinding:
    """A study on one configuration: the effects of its variants, the plain one first."""

    study: Study
    group: RunGroup
    configuration: ConfigurationRuns
    measure: Measure
    gap_measure: Measure
    effects: list[Effect]
    runs: list[Run]
    overfits: bool
    """Whether the plain task overfits; True where that is not assessed."""
    treated: list[tuple[Variant, ConfigurationRuns]]
    """The runs of each variant, the plain one first; early stopping has none of its own."""

    def curves(self) -> dict[str, Overfitting]:
        """What the curves of each variant show, by its name; without variants that scored no epoch."""
        read = {variant.name: overfitting(self.group, runs) for variant, runs in self.treated}
        return {name: curve for name, curve in read.items() if curve is not None}

    @property
    def group_title(self) -> str:
        """The title of the group, without the options that the study itself sets."""
        names = {name for variant in self.study.variants for name in variant.options}
        kept = tuple(each for each in self.group.distinctions if each.name not in names)
        return dataclasses.replace(self.group, distinctions=kept).title

    @property
    def disturbed(self) -> bool:
        """Whether others used the machine in any of its runs, so that their times are unreliable."""
        return any(run.record.disturbed for run in self.runs)

    @property
    def harmful(self) -> list[Effect]:
        """The variants that make the score significantly worse, those with less data included."""
        return [effect for effect, change in self._certain if change.value < 0]

    @property
    def recommended(self) -> Effect | None:
        """The remedy with the largest significant improvement of the score; None where there is none."""
        better = [
            (change.value, effect)
            for effect, change in self._certain
            if change.value > 0 and effect.variant.name not in DATA_VARIANTS
        ]
        return max(better, key=lambda pair: pair[0], default=(0.0, None))[1]

    @property
    def _certain(self) -> list[tuple[Effect, Estimate]]:
        """The remedies whose interval of the score's change excludes 0, each with that change."""
        changes = [(effect, effect.score_change) for effect in self.effects[1:]]
        return [(effect, change) for effect, change in changes if change and change.excludes(0.0)]


def study_findings(study: Study, groups: Sequence[RunGroup]) -> list[StudyFinding]:
    """A finding for each group of plain runs and each of its configurations.

    Configurations without a remedy are left out next to others that have one: their plain runs may be
    ordinary runs that are not part of the study.
    """
    findings, with_remedies = [], []
    for group in groups:
        if not study.holds(group.conditions, study.variants[0]):
            continue
        for configuration in group.configurations:
            variants = _variants(study, group, configuration, groups)
            finding = _finding(study, group, configuration, variants)
            findings.append(finding)
            if len(variants) > 1:
                with_remedies.append(finding)
    return with_remedies or findings


def _finding(
    study: Study,
    group: RunGroup,
    configuration: ConfigurationRuns,
    variants: Sequence[tuple[Variant, ConfigurationRuns]],
) -> StudyFinding:
    measure = _measure(study, group)
    curves = gap_curves(configuration, measure) if study.kind == "overfitting" else None
    confidence = joint_confidence(len(variants) - 1 + (curves is not None))
    effects = [_effect(variant, treated, configuration, measure, confidence) for variant, treated in variants]
    if curves is not None:
        effects.append(_early_stopping(configuration, measure, curves, confidence))
    runs = [run for _, treated in variants for run in treated.runs]
    gap = gap_measure(configuration, measure)
    overfits = study.kind != "overfitting" or _overfits(group, configuration)
    return StudyFinding(study, group, configuration, measure, gap, effects, runs, overfits, list(variants))


def _overfits(group: RunGroup, configuration: ConfigurationRuns) -> bool:
    """False where the validation loss stays near its lowest value until the last epoch."""
    plain = overfitting(group, configuration)
    return plain is None or plain.onset.epoch != 0


def _measure(study: Study, group: RunGroup) -> Measure:
    """The group's measure; with imbalance the balanced accuracy, in which thinned classes count fully."""
    if study.kind == "imbalance":
        return msgspec.structs.replace(group.measure, key="balanced_accuracy", name="balanced accuracy")
    return group.measure


def _variants(
    study: Study, plain: RunGroup, configuration: ConfigurationRuns, groups: Sequence[RunGroup]
) -> list[tuple[Variant, ConfigurationRuns]]:
    """The configuration's runs of each variant; only the description may differ from the plain runs."""
    wanted = plain.conditions.without_description
    alike = [group for group in groups if group.conditions.without_description == wanted]
    return [
        (variant, treated)
        for variant in study.variants
        for group in alike
        for treated in group.configurations
        if group.conditions.description == variant.description and treated.identity == configuration.identity
    ]


def _effect(
    variant: Variant,
    treated: ConfigurationRuns,
    plain: ConfigurationRuns,
    measure: Measure,
    confidence: float,
) -> Effect:
    plain_scores, treated_scores = scores(plain, measure), scores(treated, measure)
    plain_gaps, gaps = _final_gaps(plain, measure), _final_gaps(treated, measure)
    score_changes = differences(treated_scores, plain_scores, sign_of_gain(measure))
    return Effect(
        variant,
        len(treated.runs),
        mean_interval(list(gaps.values())),
        bounded_interval(list(treated_scores.values()), measure.upper),
        mean_interval(differences(gaps, plain_gaps), confidence),
        mean_interval(score_changes, confidence),
        geometric_interval(ratios(training_seconds(treated), training_seconds(plain)), confidence),
    )


def _early_stopping(plain: ConfigurationRuns, measure: Measure, curves: Array, confidence: float) -> Effect:
    """The plain runs, with ``curves`` of their gap, as if each had stopped at its best epoch."""
    last, best = scores(plain, measure), scores(plain, measure, best=True)
    stops = best_positions(plain)
    seconds = [run.curves["training_seconds"] for run in plain.runs]
    shares = [curve[epoch] / curve[-1] for curve, epoch in zip(seconds, stops, strict=True)]
    gaps = curves[np.arange(len(stops)), stops]
    return Effect(
        Variant(EARLY_STOPPING, [], ""),
        len(plain.runs),
        mean_interval(gaps),
        bounded_interval(list(best.values()), measure.upper),
        mean_interval(gaps - curves[:, -1], confidence),
        mean_interval(differences(best, last, sign_of_gain(measure)), confidence),
        geometric_interval(shares, confidence),
    )


def _final_gaps(configuration: ConfigurationRuns, measure: Measure) -> dict[int, float]:
    curves = gap_curves(configuration, measure)
    return {} if curves is None else dict(zip(configuration.seeds, curves[:, -1].tolist(), strict=True))


# Runs of a study's remedies that have no plain runs under the same conditions to be compared with.


def unpaired_remedies(study: Study, groups: Sequence[RunGroup]) -> list[NoPlainRuns]:
    """For each remedy and configuration without plain runs, how the nearest plain runs differ."""
    reference, *remedies = study.variants
    plain = [
        (group.conditions.without_description, configuration.identity)
        for group in groups
        if study.holds(group.conditions, reference)
        for configuration in group.configurations
    ]
    unpaired = []
    for remedy, group in itertools.product(remedies, groups):
        # A variant without assignments is the plain task, whose runs need not belong to the study.
        if not remedy.assignments or not study.holds(group.conditions, remedy):
            continue
        ours = group.conditions.without_description
        for configuration in group.configurations:
            theirs = [conditions for conditions, identity in plain if identity == configuration.identity]
            if ours not in theirs:
                nearest = min(map(ours.differences, theirs), key=len, default=[])
                unpaired.append(
                    NoPlainRuns(
                        task=group.conditions.task,
                        title=group.title,
                        configuration=configuration.name,
                        runs=len(configuration.runs),
                        remedy=remedy.name,
                        reference=reference.name,
                        differences=tuple(nearest),
                    )
                )
    return unpaired
