"""Effects of a study's variants: each compared with its reference on the same seeds."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

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
from harness.learning.runs.grouping import RunGroup
from harness.learning.runs.population import paired_scores
from harness.learning.runs.rows import ConfigurationRuns, differences, ratios
from harness.learning.study.finding import Effect, StudyFinding, Verdict
from harness.learning.study.parts import parts_of, quantity
from harness.learning.study.quantities import Quantity, SeedValues
from harness.learning.study.record import Study, Variant
from harness.learning.study.trials import criterion
from harness.spec.study import StudyVariant

#: Computed from the runs of the reference alone, at their best epochs.
EARLY_STOPPING = StudyVariant(
    "early stopping",
    meaning=(
        "Takes the weights of the epoch with the lowest validation loss instead of the last ones. It needs "
        "no other training."
    ),
)


def study_findings(study: Study, groups: Sequence[RunGroup]) -> list[StudyFinding]:
    """Return a finding for each group of runs of the reference and each of its configurations.

    Configurations without another variant are left out next to others that have one: their runs may be
    ordinary runs that are not part of the study. So are those that lack a variant which the configuration has
    that made the trials: their runs may belong to another study, in which some settings are the same.
    """
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
    return finding.configuration.record.configuration.label


def common_conditions(conditions: Conditions) -> Conditions:
    """Return the conditions that the runs of all variants share."""
    return msgspec.structs.replace(conditions, description="", epochs=0, evaluation=Evaluation())


def _variants(
    study: Study, group: RunGroup, configuration: ConfigurationRuns, groups: Sequence[RunGroup]
) -> list[tuple[Variant, RunGroup, ConfigurationRuns]]:
    """Return the runs of each variant by the configuration, the reference first."""
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
    needed = (name for part in parts_of(kind) for name in part.needs)
    names = dict.fromkeys([*kind.decisive, *kind.quantities, *needed])
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
    tuned_by = criterion(kind, configuration.record.task.description)
    effects = []
    for place, (variant, described, seeds, side) in enumerate(compared):
        values = side.values
        levels = {
            name: bounded_interval(list(values[name].values()), each.measure.upper)
            if each.measure.upper is not None and name != "gap"
            else mean_interval(list(values[name].values()))
            for name, each in quantities.items()
        }
        error = math.hypot(*(_tuning_error(study, each, tuned_by) for each in (variant, treated[0][0])))
        changes = {
            name: _change(each, side, of_reference, confidence, error if name == kind.criterion else 0.0)
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


def _tuning_error(study: Study, variant: Variant, tuned_by: Measure) -> float:
    """Estimate the standard deviation of the criterion over repeated draws of the variant's trials."""
    trials = [trial.value for trial in study.trials if trial.variant == variant.name]
    values = [value for value in trials if value is not None]
    sign = tuned_by.sign
    worst = min((sign * value for value in values), default=0.0)  # a trial that diverged counts as the worst
    return spread_of_best([worst if value is None else sign * value for value in trials])


def _change(
    each: Quantity, ours: _Side, theirs: _Side, confidence: float, tuning_error: float
) -> Estimate | None:
    """Return the change with its interval; of test scores the wider of those over seeds and population.

    ``tuning_error`` is the standard deviation from tuning that the interval includes.
    """
    first, second = ours.values[each.name], theirs.values[each.name]
    if each.ratio:
        return geometric_interval(ratios(first, second), confidence)
    if each.of_samples is not None:
        records, others = ([run.record for run in side.runs.runs] for side in (ours, theirs))
        paired = paired_scores(records, others, each.of_samples, our_best=ours.best, their_best=theirs.best)
        return with_further_error(paired.wider(confidence), tuning_error, confidence)
    return mean_interval(differences(first, second), confidence)


def _verdict(decisive: Sequence[tuple[Quantity, Estimate | None, SeedValues]]) -> Verdict:
    """Judge a variant by its decisive changes and the values of the reference."""
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
