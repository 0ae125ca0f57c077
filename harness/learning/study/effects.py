"""Effects of a study's variants: each compared with its reference on the same seeds."""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from harness.core.runs.record import Evaluation
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import (
    bounded_interval,
    geometric_interval,
    joint_confidence,
    mean_interval,
    spread_of_best,
    with_further_error,
)
from harness.core.training.measures import Measure
from harness.learning.runs.conditions import Conditions
from harness.learning.runs.grouping import (
    ConfigurationRuns,
    NoPlainRuns,
    RunGroup,
)
from harness.learning.runs.overfit import Overfitting, overfitting
from harness.learning.runs.population import paired_scores
from harness.learning.runs.run_curves import Run
from harness.learning.runs.seed_values import differences, ratios
from harness.learning.study.quantities import (
    Quantity,
    SeedValues,
    quantity,
)
from harness.learning.study.record import (
    TUNING_SEED,
    Study,
    Variant,
)
from harness.learning.study.tuning import criterion
from harness.spec.study import StudyVariant

#: Computed from the runs of the reference alone, at their best epochs.
EARLY_STOPPING = StudyVariant(
    "early stopping",
    meaning=(
        "Takes the weights of the epoch with the lowest validation loss instead of the last ones. It needs "
        "no other training."
    ),
)

#: Of a variant against the reference. ``equal``: every decisive difference is certainly within its margin;
#: ``mixed``: one decisive quantity is certainly better, another one certainly worse; ``few``: fewer seeds
#: than an interval needs.
Verdict = Literal["better", "worse", "mixed", "equal", "undecided", "few"]


@dataclass(frozen=True, slots=True)
class Effect:
    """A variant on one configuration: levels, and changes from the reference on the same seeds, by quantity.

    A change is a difference, or a quotient where the quantity is a ratio. The intervals of decisive changes
    hold for all variants and decisive quantities together, because one of several is chosen by them.
    """

    variant: Variant
    described: StudyVariant
    seeds: int
    levels: Mapping[str, Estimate | None]
    changes: Mapping[str, Estimate | None]
    verdict: Verdict | None
    """None of the reference itself."""


@dataclass(frozen=True, slots=True)
class StudyFinding:
    """A study on one configuration: the effects of its variants, the reference first."""

    study: Study
    group: RunGroup
    configuration: ConfigurationRuns
    """The runs of the reference."""
    quantities: Mapping[str, Quantity]
    effects: list[Effect]
    treated: list[tuple[Variant, RunGroup, ConfigurationRuns]]
    """The runs of each variant, the reference first; early stopping has none of its own."""
    results: Path | None = None
    """The results folder, for images beside the records."""

    @property
    def measure(self) -> Measure:
        """The measure of the task's quality."""
        return self.group.measure

    @property
    def reference(self) -> Effect:
        """The variant that the others are compared with."""
        return self.effects[0]

    @property
    def runs(self) -> list[Run]:
        """Every run that is compared."""
        return [run for _, _, treated in self.treated for run in treated.runs]

    def curves(self) -> dict[str, Overfitting]:
        """What the curves of each variant show, by its name; without variants that scored no epoch."""
        read = {variant.name: overfitting(group, runs) for variant, group, runs in self.treated}
        return {name: curve for name, curve in read.items() if curve is not None}

    @property
    def group_title(self) -> str:
        """The title of the group, without the options that the study itself sets."""
        names = {name for variant in self.study.variants for name in variant.options} | {"evaluation"}
        kept = tuple(each for each in self.group.distinctions if each.name not in names)
        return dataclasses.replace(self.group, distinctions=kept).title

    @property
    def disturbed(self) -> bool:
        """Whether others used the machine in any of its runs, so that their times are unreliable."""
        return any(run.record.disturbed for run in self.runs)

    def of_verdict(self, *verdicts: Verdict) -> list[Effect]:
        """The effects of these verdicts, the reference not among them."""
        return [effect for effect in self.effects[1:] if effect.verdict in verdicts]

    @property
    def recommended(self) -> Effect | None:
        """The best of the variants that are certainly better than the reference; None without one.

        It is the one with the largest certain gain in the first decisive quantity that decides between any.
        """
        better = [effect for effect in self.of_verdict("better") if not effect.described.data]
        for name in self.study.kind.decisive:
            sign = self.quantities[name].measure.sign
            gains = [
                (sign * change.value, effect)
                for effect in better
                if (change := effect.changes.get(name)) is not None and change.excludes(0.0)
            ]
            if gains:
                return max(gains, key=lambda gain: gain[0])[1]
        return None


def study_findings(study: Study, groups: Sequence[RunGroup]) -> list[StudyFinding]:
    """A finding for each group of runs of the reference and each of its configurations.

    Configurations without another variant are left out next to others that have one: their runs may be
    ordinary runs that are not part of the study. So are those that lack a variant which the configuration has
    that made the trials: their runs may be of a study of their own, in which some settings are the same.
    """
    groups = [each for group in groups if (each := _without_trials(group)).configurations]
    findings, compared = [], list[StudyFinding]()
    for group in groups:
        if not study.holds(group.conditions, study.reference_variant):
            continue
        for configuration in group.configurations:
            variants = _variants(study, group, configuration, groups)
            finding = _finding(study, group, configuration, variants)
            findings.append(finding)
            if len(variants) > 1:
                compared.append(finding)
    most = max((len(each.effects) for each in compared if _label(each) == study.tuned_on), default=0)
    own = [each for each in compared if _label(each) == study.tuned_on or len(each.effects) >= most]
    return own or findings


def _label(finding: StudyFinding) -> str:
    return finding.configuration.runs[0].record.configuration.label


def _without_trials(group: RunGroup) -> RunGroup:
    """The group without the runs that chose settings, which must not judge them."""
    kept = [
        (each, tuple(run for run in each.runs if run.record.seed != TUNING_SEED))
        for each in group.configurations
    ]
    if all(len(runs) == len(each.runs) for each, runs in kept):
        return group
    configurations = tuple(ConfigurationRuns(each.name, runs, each.values) for each, runs in kept if runs)
    return dataclasses.replace(group, configurations=configurations)


def common_conditions(conditions: Conditions) -> Conditions:
    """What the runs of all variants share."""
    return msgspec.structs.replace(conditions, description="", epochs=0, evaluation=Evaluation())


def _variants(
    study: Study, group: RunGroup, configuration: ConfigurationRuns, groups: Sequence[RunGroup]
) -> list[tuple[Variant, RunGroup, ConfigurationRuns]]:
    """The configuration's runs of each variant, the reference first."""
    wanted, reference = common_conditions(group.conditions), study.reference_variant
    others = [variant for variant in study.variants if variant is not reference]
    found = [
        (variant, each, treated)
        for variant in others
        for each in groups
        if common_conditions(each.conditions) == wanted and study.holds(each.conditions, variant)
        for treated in each.configurations
        if treated.identity == configuration.identity
    ]
    return [(reference, group, configuration), *found]


def _finding(
    study: Study,
    group: RunGroup,
    configuration: ConfigurationRuns,
    treated: list[tuple[Variant, RunGroup, ConfigurationRuns]],
) -> StudyFinding:
    kind = study.kind
    names = dict.fromkeys([*kind.decisive, *kind.quantities])
    quantities = {name: quantity(name, study, configuration) for name in names}
    at_best = kind.at == "best"
    of_reference = _side(quantities, configuration, best=at_best)
    plain = Variant(EARLY_STOPPING.name, [], "", study.epochs)
    compared: list[tuple[Variant, StudyVariant, int, _Side]] = [
        (
            variant,
            study.described(variant.name),
            len(runs.runs),
            _side(quantities, runs, best=at_best),
        )
        for variant, _, runs in treated
    ]
    if kind.early_stopping:
        stopped = _side(quantities, configuration, best=True)
        compared.append((plain, EARLY_STOPPING, len(configuration.runs), stopped))
    judged = sum(not described.data for _, described, _, _ in compared[1:]) or len(compared) - 1
    confidence = joint_confidence(max(1, judged * len(kind.decisive)))
    tuned_by = criterion(kind, configuration.runs[0].record.task.description)
    effects = []
    for place, (variant, described, seeds, side) in enumerate(compared):
        values = side.values
        levels = {
            name: bounded_interval(list(values[name].values()), each.measure.upper)
            if each.measure.upper is not None and name != "gap"
            else mean_interval(list(values[name].values()))
            for name, each in quantities.items()
        }
        luck = math.hypot(*(_tuning_luck(study, each, tuned_by) for each in (variant, treated[0][0])))
        changes = {
            name: _change(each, side, of_reference, confidence, luck if name == kind.criterion else 0.0)
            if place
            else None
            for name, each in quantities.items()
        }
        decisive = [(quantities[name], changes[name], of_reference.values[name]) for name in kind.decisive]
        verdict = _verdict(decisive) if place else None
        effects.append(Effect(variant, described, seeds, levels, changes, verdict))
    # Not every task has every quantity: regression is not calibrated.
    known = {
        name: each
        for name, each in quantities.items()
        if name in kind.decisive or any(effect.levels[name] is not None for effect in effects)
    }
    return StudyFinding(study, group, configuration, known, effects, treated)


class _Side(NamedTuple):
    """The runs of one side of a comparison, and their values by quantity."""

    runs: ConfigurationRuns
    best: bool
    values: Mapping[str, SeedValues]


def _side(quantities: Mapping[str, Quantity], runs: ConfigurationRuns, *, best: bool) -> _Side:
    return _Side(runs, best, {name: each.values(runs, best) for name, each in quantities.items()})


def _tuning_luck(study: Study, variant: Variant, tuned_by: Measure) -> float:
    """The standard deviation of the criterion that comes from which settings a variant's trials drew."""
    trials = [trial.value for trial in study.trials if trial.variant == variant.name]
    values = [value for value in trials if value is not None]
    sign = tuned_by.sign
    worst = min((sign * value for value in values), default=0.0)  # as which one that diverged counts
    return spread_of_best([worst if value is None else sign * value for value in trials])


def _change(
    each: Quantity, ours: _Side, theirs: _Side, confidence: float, tuning_luck: float
) -> Estimate | None:
    """The change with its interval: of test scores the wider one of that over seeds and the population's.

    ``tuning_luck`` is the error from tuning that the interval contains, too.
    """
    first, second = ours.values[each.name], theirs.values[each.name]
    if each.ratio:
        return geometric_interval(ratios(first, second), confidence)
    if each.of_samples is not None:
        records, others = ([run.record for run in side.runs.runs] for side in (ours, theirs))
        paired = paired_scores(records, others, each.of_samples, our_best=ours.best, their_best=theirs.best)
        return with_further_error(paired.wider(confidence), tuning_luck, confidence)
    return mean_interval(differences(first, second), confidence)


def _verdict(decisive: Sequence[tuple[Quantity, Estimate | None, SeedValues]]) -> Verdict:
    """The verdict of a variant from its decisive changes and the values of the reference."""
    known = [
        (each, change, level)
        for each, change, level in decisive
        if change is not None and change.low is not None and change.high is not None
    ]
    if not known:
        return "few"
    signs = {
        each.measure.sign * (1 if change.value > 0 else -1)
        for each, change, level in known
        if change.excludes(0.0) and not _is_within_margin(each, change, level)
    }
    if len(signs) > 1:
        return "mixed"
    if signs:
        return "better" if signs == {1} else "worse"
    equal = all(_is_within_margin(each, change, level) for each, change, level in known)
    return "equal" if equal else "undecided"


def _is_within_margin(each: Quantity, change: Estimate, level: SeedValues) -> bool:
    margin = each.measure.margin
    if each.measure.relative and level:
        margin *= abs(sum(level.values()) / len(level))
    return (
        change.low is not None and change.high is not None and -margin < change.low and change.high < margin
    )


# Runs of a study's variants that have no runs of the reference under the same conditions.


def unpaired_variants(study: Study, groups: Iterable[RunGroup]) -> list[NoPlainRuns]:
    """For each variant and configuration without runs of the reference, how the nearest of these differ."""
    groups = [each for group in groups if (each := _without_trials(group)).configurations]
    reference = study.reference_variant
    plain = [
        (common_conditions(group.conditions), configuration.identity)
        for group in groups
        if study.holds(group.conditions, reference)
        for configuration in group.configurations
    ]
    unpaired = []
    for variant, group in itertools.product(study.variants, groups):
        # A variant without assignments is the task as it is, whose runs need not belong to the study.
        if variant is reference or not variant.assignments or not study.holds(group.conditions, variant):
            continue
        ours = common_conditions(group.conditions)
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
                        remedy=variant.name,
                        reference=reference.name,
                        differences=tuple(nearest),
                    )
                )
    return unpaired
