"""What the runs of a study say: each remedy against the plain task, on the same seeds."""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from harness.analysis.comparability import ConfigurationRuns, Section
from harness.analysis.comparison import scores
from harness.analysis.overfit import gap_curves, gap_measure
from harness.analysis.run_curves import Run
from harness.analysis.study import Study, Variant
from harness.stats.estimate import Estimate
from harness.stats.intervals import Array, geometric_interval, joint_confidence, mean_interval
from harness.training.measures import Measure

#: What is made of the plain runs alone: their own best epoch.
EARLY_STOPPING = "early stopping"
#: They show what data is worth, and are nothing that a person would choose.
_NOT_TO_CHOOSE = {"half the data", "a quarter of the data", "all data"}


@dataclass(frozen=True, slots=True)
class Effect:
    """A remedy on one side: levels, and differences from the plain runs of the same seeds.

    ``score`` is in the unit of the finding's measure, ``gap`` in that of its ``gap_measure``; a
    ``score_change`` above 0 is better; ``time_ratio`` is of training seconds. Intervals of what changes
    hold for all remedies together, for one of several is chosen by them.
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
    """A study on one side: the effect of each variant, the first being the plain one's levels."""

    study: Study
    section: Section
    side: ConfigurationRuns
    measure: Measure
    gap_measure: Measure
    effects: list[Effect]
    runs: list[Run]

    @property
    def title(self) -> str:
        """The side and its setting, without the options that the study itself sets."""
        names = {text.partition("=")[0] for one in self.study.variants for text in one.assignments}
        apart = tuple(text for text in self.section.apart if text.partition("=")[0] not in names)
        return f"{self.side.name} on {dataclasses.replace(self.section, apart=apart).title}"

    @property
    def harmful(self) -> list[Effect]:
        """What surely makes the score worse, data taken away included."""
        return [effect for effect, change in self._certain if change.value < 0]

    @property
    def recommended(self) -> Effect | None:
        """The remedy that surely improves the score, and most so; None where none does."""
        better = [
            (change.value, effect)
            for effect, change in self._certain
            if change.value > 0 and effect.variant.name not in _NOT_TO_CHOOSE
        ]
        return max(better, key=lambda one: one[0], default=(0.0, None))[1]

    @property
    def _certain(self) -> list[tuple[Effect, Estimate]]:
        """The remedies whose change of the score is not 0 for certain, with it."""
        changes = [(effect, effect.score_change) for effect in self.effects[1:]]
        return [(effect, change) for effect, change in changes if change and change.excludes(0.0)]


def study_findings(study: Study, sections: Iterable[Section]) -> list[StudyFinding]:
    """What the runs in these sections say of a study: a finding for each setting and side that took part.

    Plain runs are those of the ordinary command, so that sides have them that no remedy was tried on; they
    are left out beside one that took part.
    """
    sections = list(sections)
    findings, tried = [], []
    for section in sections:
        if not study.holds(section.setting, study.variants[0]):
            continue
        for side in section.sides:
            variants = _variants(study, section, side, sections)
            measure = _measure(study, section)
            curves = gap_curves(side, measure) if study.kind == "overfitting" else None
            confidence = joint_confidence(len(variants) - 1 + (curves is not None))
            effects = [_effect(variant, found, side, measure, confidence) for variant, found in variants]
            if curves is not None:
                effects.append(_early_stopping(side, measure, curves, confidence))
            runs = [run for _, found in variants for run in found.runs]
            gap = gap_measure(side, measure)
            findings.append(StudyFinding(study, section, side, measure, gap, effects, runs))
            if len(variants) > 1:
                tried.append(findings[-1])
    return tried or findings


def unpaired(study: Study, sections: Iterable[Section]) -> list[str]:
    """For each remedy's runs that have no plain ones to be held against: why, in a sentence."""
    sections = list(sections)
    plain = [
        (section.setting.surroundings, side.identity)
        for section in sections
        if study.holds(section.setting, study.variants[0])
        for side in section.sides
    ]
    told = []
    for variant, section in itertools.product(study.variants[1:], sections):
        # What changes no option is the task as everybody runs it, and need not be of the study.
        if not variant.assignments or not study.holds(section.setting, variant):
            continue
        ours = section.setting.surroundings
        for side in section.sides:
            theirs = [setting for setting, identity in plain if identity == side.identity]
            if ours in theirs:
                continue
            reasons = min(map(ours.differs, theirs), key=len, default=["of this version there are none"])
            runs = f"{len(side.runs)} run{'s' * (len(side.runs) != 1)}"
            told.append(
                f"{variant.name} ({runs}) on {side.name} on {section.title} not held against "
                f"{study.variants[0].name} runs: {', '.join(reasons)}"
            )
    return told


def _measure(study: Study, section: Section) -> Measure:
    """Thinned classes count as much as the others in the balanced accuracy."""
    if study.kind == "imbalance":
        return msgspec.structs.replace(section.measure, key="balanced_accuracy", name="balanced accuracy")
    return section.measure


def _variants(
    study: Study, plain: Section, side: ConfigurationRuns, sections: Sequence[Section]
) -> list[tuple[Variant, ConfigurationRuns]]:
    """The side's runs of each variant, in the setting of the plain runs but for the description."""
    wanted = plain.setting.surroundings
    alike = [section for section in sections if section.setting.surroundings == wanted]
    return [
        (variant, other)
        for variant in study.variants
        for section in alike
        for other in section.sides
        if section.setting.description == variant.description and other.identity == side.identity
    ]


def _effect(
    variant: Variant, side: ConfigurationRuns, plain: ConfigurationRuns, measure: Measure, confidence: float
) -> Effect:
    theirs, ours = scores(plain, measure), scores(side, measure)
    gaps, plain_gaps = _final_gaps(side, measure), _final_gaps(plain, measure)
    times, plain_times = _training_seconds(side), _training_seconds(plain)
    sign = 1.0 if measure.higher_is_better else -1.0
    ratios = [times[seed] / plain_times[seed] for seed in _common(times, plain_times)]
    return Effect(
        variant,
        len(side.runs),
        mean_interval(list(gaps.values())),
        mean_interval(list(ours.values())),
        mean_interval([gaps[seed] - plain_gaps[seed] for seed in _common(gaps, plain_gaps)], confidence),
        mean_interval([sign * (ours[seed] - theirs[seed]) for seed in _common(ours, theirs)], confidence),
        geometric_interval(ratios, confidence),
    )


def _early_stopping(plain: ConfigurationRuns, measure: Measure, curves: Array, confidence: float) -> Effect:
    """What the plain runs, with these ``curves`` of the gap, would have been, stopped at the best epochs."""
    sign = 1.0 if measure.higher_is_better else -1.0
    last, best = scores(plain, measure), scores(plain, measure, best=True)
    at = [(run.record.best_epoch or curves.shape[1]) - 1 for run in plain.runs]
    seconds = [run.curves["training_seconds"] for run in plain.runs]
    shares = [curve[epoch] / curve[-1] for curve, epoch in zip(seconds, at, strict=True)]
    gaps = curves[np.arange(len(at)), at]
    return Effect(
        Variant(EARLY_STOPPING, [], ""),
        len(plain.runs),
        mean_interval(gaps),
        mean_interval(list(best.values())),
        mean_interval(gaps - curves[:, -1], confidence),
        mean_interval([sign * (best[seed] - last[seed]) for seed in _common(best, last)], confidence),
        geometric_interval(shares, confidence),
    )


def _common(one: dict[int, float], other: dict[int, float]) -> list[int]:
    return sorted(one.keys() & other.keys())


def _final_gaps(side: ConfigurationRuns, measure: Measure) -> dict[int, float]:
    curves = gap_curves(side, measure)
    return {} if curves is None else dict(zip(side.seeds, curves[:, -1].tolist(), strict=True))


def _training_seconds(side: ConfigurationRuns) -> dict[int, float]:
    return {run.record.seed: run.record.phases.training_seconds for run in side.runs}
