"""Studies: remedies for overfitting or imbalance, each against the plain task, seeds paired.

A study file says only which remedies belong together. Their runs are ordinary records, found by what
they are, so that a study goes on where it stopped and takes in runs that were made otherwise.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from harness.comparison import scores
from harness.errors import HarnessError
from harness.intervals import Estimate, geometric_interval, mean_interval
from harness.overfit import gap_curves
from harness.runs import Measure
from harness.settings import Section, Setting, Side
from harness.spec import Precision

STUDIES = "studies"
SCHEMA = 1
#: What is made of the plain runs alone: their own best epoch.
EARLY_STOPPING = "early stopping"
#: Below this many seeds there is no interval, and so no recommendation.
FEWEST_SEEDS = 2

Kind = Literal["overfitting", "imbalance"]


class Remedy(NamedTuple):
    """A name and the options, as ``--set`` takes them, that make it of the task."""

    name: str
    assignments: tuple[str, ...]


#: What each study tries; the first is what the others are held against. The order is that in which
#: remedies are kept where time is short.
REMEDIES: Mapping[Kind, tuple[Remedy, ...]] = {
    "overfitting": (
        Remedy("plain", ()),
        Remedy("dropout", ("dropout=0.5",)),
        Remedy("l2", ("l2=0.001",)),
        Remedy("augmentation", ("flip=true", "crop=4")),
        Remedy("half the data", ("train_fraction=0.5",)),
        Remedy("half the width", ("width=0.5",)),
        Remedy("l1", ("l1=0.0001",)),
        Remedy("a quarter of the data", ("train_fraction=0.25",)),
    ),
    "imbalance": (
        Remedy("thinned", ("imbalance=0.1",)),
        Remedy("class weights", ("imbalance=0.1", "rebalance=weights")),
        Remedy("oversampling", ("imbalance=0.1", "rebalance=oversample")),
        Remedy("all data", ()),
    ),
}
#: They show what data is worth, and are nothing that a person would choose.
_NOT_TO_CHOOSE = {"half the data", "a quarter of the data", "all data"}


class Variant(msgspec.Struct, frozen=True):
    """A remedy as it was asked for; ``description`` is the sha256 by which records tell it."""

    name: str
    assignments: list[str]
    description: str


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """A study file; variants are held against the first."""

    schema: int = SCHEMA
    kind: Kind
    task: str
    dataset: str
    epochs: int
    max_steps: int | None
    precision: Precision
    threads: int
    variants: list[Variant]

    @property
    def name(self) -> str:
        """The file's name: the same whenever the same is asked for."""
        digest = hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:8]
        return f"{self.kind}-{self.task}-{self.dataset}-{digest}"

    def holds(self, setting: Setting, variant: Variant) -> bool:
        """Whether runs of this setting are of this variant."""
        return (
            setting.description == variant.description
            and setting.dataset == self.dataset
            and (setting.epochs, setting.max_steps) == (self.epochs, self.max_steps)
            and (setting.precision, setting.threads) == (self.precision, self.threads)
        )


def save_study(study: Study, results: Path) -> Path:
    """Write the study's file; its path.

    Raises:
        HarnessError: it cannot be written.
    """
    path = results / STUDIES / f"{study.name}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(study), indent=2) + b"\n")
    except OSError as error:
        raise HarnessError(f"the study {path} cannot be written: {error.strerror}") from error
    return path


def read_studies(results: Path) -> tuple[list[Study], list[str]]:
    """The studies of a results folder, and for each file that is none a sentence that names it."""
    studies, unreadable = [], []
    for path in sorted((results / STUDIES).glob("*.json")):
        try:
            studies.append(msgspec.json.decode(path.read_bytes(), type=Study))
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            unreadable.append(f"{path} is not a study that can be read: {error}")
    return studies, unreadable


class Plan(NamedTuple):
    """How much of a study fits a budget: the variants that are kept, in order, and the seeds."""

    variants: int
    seeds: int


def plan_size(run_seconds: float, budget_seconds: float, variants: int, seeds: int) -> Plan:
    """What fits, where one run of a variant on every backend takes ``run_seconds``.

    Seeds go first, down to the two that an interval takes; then remedies from the end of the list, down
    to one; the budget itself stops what is still too much.
    """
    runs = budget_seconds / run_seconds
    fitting_seeds = max(FEWEST_SEEDS, min(seeds, math.floor(runs / variants)))
    fitting_variants = max(2, min(variants, math.floor(runs / fitting_seeds)))
    return Plan(fitting_variants, min(seeds, fitting_seeds))


@dataclass(frozen=True, slots=True)
class Effect:
    """A remedy on one side: levels, and differences from the plain runs of the same seeds.

    ``gap`` and ``score`` are in the measure's unit, differences oriented so that a ``score_change``
    above 0 is better; ``time_ratio`` is of training seconds.
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
    side: Side
    measure: Measure
    effects: list[Effect]

    @property
    def recommended(self) -> Effect | None:
        """The remedy that surely improves the score, and most so; None where none does."""
        sure = [
            effect
            for effect in self.effects[1:]
            if effect.variant.name not in _NOT_TO_CHOOSE
            and effect.score_change
            and effect.score_change.low is not None
            and effect.score_change.low > 0
        ]
        return max(
            sure, key=lambda effect: effect.score_change.mean if effect.score_change else 0.0, default=None
        )


def done(study: Study, sections: Iterable[Section]) -> set[tuple[str, str, int]]:
    """What need not be run again: variant, side as on the command line, and seed of each ``ok`` run."""
    return {
        (variant.name, run.record.label, run.record.seed)
        for section in sections
        for variant in study.variants
        if study.holds(section.setting, variant)
        for side in section.sides
        for run in side.runs
    }


def study_findings(study: Study, sections: Iterable[Section]) -> list[StudyFinding]:
    """What the runs in these sections say of a study: a finding for each setting and side with plain runs."""
    sections = list(sections)
    findings = []
    for section in sections:
        if not study.holds(section.setting, study.variants[0]):
            continue
        for side in section.sides:
            variants = _variants(study, section, side, sections)
            measure = _measure(study, section)
            effects = [_effect(variant, found, side, measure) for variant, found in variants]
            if study.kind == "overfitting":
                effects.append(_early_stopping(side, measure))
            findings.append(StudyFinding(study, section, side, measure, effects))
    return findings


def _measure(study: Study, section: Section) -> Measure:
    """Thinned classes count as much as the others in the balanced accuracy."""
    if study.kind == "imbalance":
        return msgspec.structs.replace(section.measure, key="balanced_accuracy", name="balanced accuracy")
    return section.measure


def _variants(
    study: Study, plain: Section, side: Side, sections: Sequence[Section]
) -> list[tuple[Variant, Side]]:
    """The side's runs of each variant, in the setting of the plain runs but for the description."""
    wanted = msgspec.structs.replace(plain.setting, description="")
    found = []
    for variant in study.variants:
        for section in sections:
            setting = section.setting
            same = msgspec.structs.replace(setting, description="") == wanted
            if same and setting.description == variant.description:
                found += [(variant, other) for other in section.sides if other.name == side.name]
    return found


def _effect(variant: Variant, side: Side, plain: Side, measure: Measure) -> Effect:
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
        mean_interval([gaps[seed] - plain_gaps[seed] for seed in _common(gaps, plain_gaps)]),
        mean_interval([sign * (ours[seed] - theirs[seed]) for seed in _common(ours, theirs)]),
        geometric_interval(ratios),
    )


def _early_stopping(plain: Side, measure: Measure) -> Effect:
    """What the plain runs would have been, had they stopped at the epoch of lowest validation loss."""
    sign = 1.0 if measure.higher_is_better else -1.0
    last, best = scores(plain, measure), scores(plain, measure, best=True)
    curves = gap_curves(plain, measure)
    at = [(run.record.best_epoch or len(run.curves["epoch"])) - 1 for run in plain.runs]
    seconds = [run.curves["training_seconds"] for run in plain.runs]
    gaps = np.empty(0) if curves is None else curves[np.arange(len(at)), at]
    changes = np.empty(0) if curves is None else gaps - curves[:, -1]
    return Effect(
        Variant(EARLY_STOPPING, [], ""),
        len(plain.runs),
        mean_interval(gaps),
        mean_interval(list(best.values())),
        mean_interval(changes),
        mean_interval([sign * (best[seed] - last[seed]) for seed in _common(best, last)]),
        geometric_interval([curve[epoch] / curve[-1] for curve, epoch in zip(seconds, at, strict=True)]),
    )


def _common(one: dict[int, float], other: dict[int, float]) -> list[int]:
    return sorted(one.keys() & other.keys())


def _final_gaps(side: Side, measure: Measure) -> dict[int, float]:
    curves = gap_curves(side, measure)
    return {} if curves is None else dict(zip(side.seeds, curves[:, -1].tolist(), strict=True))


def _training_seconds(side: Side) -> dict[int, float]:
    return {run.record.seed: run.record.phases.training_seconds for run in side.runs}
