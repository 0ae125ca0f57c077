"""Effects of a study's variants: levels, and changes from a reference or from the best on the same seeds."""

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from harness.core.runs.record import Evaluation, Record
from harness.core.runs.request import TRIAL_SEED
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import joint_confidence, spread_of_best
from harness.core.training.measures import Measure
from harness.learning.runs.conditions import Conditions
from harness.learning.runs.grouping import RunGroup, grouped
from harness.learning.runs.rows import ConfigurationRuns, rows_of
from harness.learning.runs.run_curves import Run
from harness.learning.study.finding import Effect, StudyFinding
from harness.learning.study.judging import (
    NO_NEED,
    Contrast,
    Side,
    Standing,
    contrast,
    leading,
    need_of,
    standings,
    verdict_of,
)
from harness.learning.study.parts import parts_of, quantity
from harness.learning.study.quantities import Quantity
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


def study_findings(
    study: Study, groups: Sequence[RunGroup], diverged: Sequence[Record] = ()
) -> list[StudyFinding]:
    """Return a finding for each group of runs of the reference and each of its configurations.

    Configurations without another variant are left out next to others that have one: their runs may be
    ordinary runs that are not part of the study. So are those that lack a variant which the configuration has
    that made the trials: their runs may belong to another study, in which some settings are the same.
    ``diverged`` are runs that diverged; without them, a variant that did is not named.
    """
    study, findings, compared = _with_trained_reference(study, groups), [], list[StudyFinding]()
    for group in groups:
        if not study.holds(group.conditions, study.reference_variant):
            continue
        for configuration in group.configurations:
            variants = _variants(study, group, configuration, groups)
            ended = _diverged(study, configuration, diverged)
            finding = _finding(study, group, configuration, variants, ended)
            findings.append(finding)
            if len(variants) > 1:
                compared.append(finding)
    most = max((len(each.effects) for each in compared if _label(each) == study.tuned_on), default=0)
    own = [each for each in compared if _label(each) == study.tuned_on or len(each.effects) >= most]
    return own or findings


def findings_of(study: Study, records: Sequence[Record]) -> list[StudyFinding]:
    """Return the findings of a study from its runs, those that diverged included."""
    diverged = [record for record in records if record.status == "diverged"]
    return study_findings(study, grouped(rows_of(map(Run.of, records)).rows), diverged)


def _with_trained_reference(study: Study, groups: Sequence[RunGroup]) -> Study:
    """Take another reference where every variant is compared with the best, if the runs of its own failed."""
    reference = study.reference_variant
    ordered = [reference, *study.variants] if study.kind.reference == "best" else [reference]
    trained = (each for each in ordered if any(study.holds(group.conditions, each) for group in groups))
    return msgspec.structs.replace(study, reference=next(trained, reference).name)


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
    diverged: Mapping[str, tuple[int, ...]],
) -> StudyFinding:
    study = _without_repeats(study, group.measure)
    kind = study.kind
    needed = (name for part in parts_of(kind) for name in part.needs)
    names = dict.fromkeys([*kind.decisive, *kind.quantities, *needed])
    quantities = {name: quantity(name, study, configuration) for name in names}
    compared = [(variant, study.described(variant.name)) for variant, _, _ in treated]
    sides = _sides(study, quantities, treated)
    if kind.early_stopping:
        compared.append((Variant(EARLY_STOPPING.name, [], "", study.epochs), EARLY_STOPPING))
        plain = sides[treated[0][0].name]
        stopped = {name: each.values(configuration, True) for name, each in quantities.items()}
        sides[EARLY_STOPPING.name] = plain._replace(best=True, values=stopped)
    decisive = [quantities[name] for name in kind.decisive]
    steady = {name: each for name, each in sides.items() if name not in diverged}
    leader, standing = compared[0][0].name, dict[str, Standing]()
    judged = sum(not described.data for _, described in compared[1:]) or len(compared) - 1
    if kind.reference == "best":
        leader, standing = leading(steady or sides, decisive[0]), standings(steady, decisive)
        compared.sort(key=lambda each: each[0].name != leader)
        treated = sorted(treated, key=lambda each: each[0].name != leader)
        judged = len(steady) - 1
    confidence = joint_confidence(judged * len(decisive))
    shows_data = not all(described.data for _, described in compared[1:])
    effects = []
    for variant, described in compared:
        name, ours = variant.name, sides[variant.name]
        levels = {each.name: _level(each, ours) for each in quantities.values()}
        contrasts = [contrast(each, ours, sides[leader], confidence) for each in quantities.values()]
        changes = {each.quantity.name: each.change if name != leader else None for each in contrasts}
        against = _against_reference([each for each in contrasts if each.quantity in decisive])
        answers = decisive[0].answers
        if answers is not None:
            against = Standing(answers(levels[decisive[0].name]), dict.fromkeys(kind.decisive))
        elif name in standing:
            against = standing[name]
        elif described.data and shows_data:
            against = Standing("control", {})
        verdict = None if name == leader and not (standing or answers) else against.verdict
        verdict = "diverged" if name in diverged else verdict
        seeds, lost = len(ours.runs.runs), diverged.get(name, ())
        changes |= against.changes
        effects.append(
            Effect(variant, described, seeds, levels, changes, verdict, against.need, lost, against.signs)
        )
    effects += _without_runs(study, quantities, {each: diverged[each] for each in diverged.keys() - sides})
    # Not every task has every quantity: regression is not calibrated.
    known = {
        name: each
        for name, each in quantities.items()
        if name in kind.decisive or any(effect.levels[name] is not None for effect in effects)
    }
    return StudyFinding(study, group, configuration, known, effects, treated, sides, confidence)


def _without_repeats(study: Study, measure: Measure) -> Study:
    """Name a quantity once: where the loss is the score of the task, as in regression, leave the loss out."""
    if measure.key != "loss":
        return study
    decisive, quantities = (
        tuple(dict.fromkeys("score" if name == "loss" else name for name in names))
        for names in (study.kind.decisive, study.kind.quantities)
    )
    kind = msgspec.structs.replace(study.kind, decisive=decisive, quantities=quantities, criterion="score")
    return msgspec.structs.replace(study, kind=kind)


def _sides(
    study: Study,
    quantities: Mapping[str, Quantity],
    treated: Sequence[tuple[Variant, RunGroup, ConfigurationRuns]],
) -> dict[str, Side]:
    """Return the values of each variant, by its name."""
    kind, at_best = study.kind, study.kind.at == "best"
    sides = {}
    for variant, _, runs in treated:
        values = {name: each.values(runs, at_best) for name, each in quantities.items()}
        error = _tuning_error(study, variant, criterion(kind, runs.record.task.description))
        sides[variant.name] = Side(runs, at_best, values, kind.criterion, error)
    return sides


def _against_reference(decisive: Sequence[Contrast]) -> Standing:
    """Judge a variant against the reference by the decisive quantities."""
    verdict = verdict_of(decisive)
    need = need_of(decisive) if verdict in {"undecided", "few"} else NO_NEED
    return Standing(verdict, {}, need, {each.quantity.name: each.sign for each in decisive})


def _without_runs(
    study: Study, quantities: Mapping[str, Quantity], diverged: Mapping[str, tuple[int, ...]]
) -> list[Effect]:
    """Return the effects of variants of which every run diverged: they have no values."""
    nothing = dict.fromkeys(quantities)
    return [
        Effect(
            each, study.described(each.name), 0, nothing, nothing, "diverged", NO_NEED, diverged[each.name]
        )
        for each in study.variants
        if each.name in diverged
    ]


def _level(of: Quantity, side: Side) -> Estimate | None:
    if of.level is not None:
        return of.level(side.runs, side.best)
    level = of.scale.level(np.array([*side.values[of.name].values()], np.float64))
    if level is None or level.low is None or level.high is None:
        return level
    is_constant = math.isclose(level.low, level.high)  # epsilon, or a number of parameters
    return Estimate(level.value, None, None, level.n) if is_constant else level


def _tuning_error(study: Study, variant: Variant, tuned_by: Measure) -> float:
    """Estimate the standard deviation of the criterion over repeated draws of the variant's trials."""
    trials = [trial.value for trial in study.trials if trial.variant == variant.name]
    values = [value for value in trials if value is not None]
    sign = tuned_by.sign
    worst = min((sign * value for value in values), default=0.0)  # a trial that diverged counts as the worst
    return spread_of_best([worst if value is None else sign * value for value in trials])


def _diverged(
    study: Study, configuration: ConfigurationRuns, ended: Iterable[Record]
) -> dict[str, tuple[int, ...]]:
    """Return the seeds whose compared runs on a configuration diverged, by variant."""
    names = {variant.description: variant.name for variant in study.variants}
    label = configuration.record.configuration.label
    seeds: dict[str, set[int]] = {}
    for record in ended:
        if record.configuration.label == label and record.seed != TRIAL_SEED:
            seeds.setdefault(names.get(record.task.sha256, ""), set()).add(record.seed)
    return {name: tuple(sorted(each)) for name, each in seeds.items() if name}
