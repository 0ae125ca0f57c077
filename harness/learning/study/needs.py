"""What the verdicts of a study still need: more seeds, or what seeds cannot give."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from harness.core.documents.numbers import counted, listed
from harness.core.runs.record import Record
from harness.core.stats.equivalence import ALPHA, seeds_needed
from harness.core.stats.intervals import spread_of_best
from harness.learning.runs.grouping import grouped
from harness.learning.runs.population import paired_scores
from harness.learning.runs.rows import differences, ratios, rows_of
from harness.learning.runs.run_curves import Run
from harness.learning.study.effects import EARLY_STOPPING, study_findings
from harness.learning.study.finding import Effect, StudyFinding
from harness.learning.study.quantities import Quantity
from harness.learning.study.record import Study
from harness.learning.study.trials import criterion

#: What keeps a variant undecided however many seeds there are.
Limit = Literal["", "the test set", "the tuning"]
_LIMITS: dict[Limit, str] = {
    "the test set": "the number of test samples limits the verdict, and more seeds would not decide",
    "the tuning": "chance in the tuning limits the verdict, and more seeds would not decide; add --trials",
}


class Need(NamedTuple):
    """What a variant without a verdict needs: a number of ``seeds`` in all, or what its ``limit`` is.

    Without both the number of seeds is not known, as where there are fewer than two.
    """

    variant: str
    seeds: int | None
    limit: Limit = ""


def findings_of(study: Study, records: Sequence[Record]) -> list[StudyFinding]:
    """Return the findings of a study from these runs, on each configuration."""
    return study_findings(study, grouped(rows_of(map(Run.of, records)).rows))


def needs(findings: Sequence[StudyFinding]) -> list[Need]:
    """Return the needs of all variants without a verdict, on the configuration that needs most."""
    found: dict[str, Need] = {}
    for finding in findings:
        for effect in finding.of_verdict("undecided", "few"):
            need = _need(finding, effect)
            known = found.get(need.variant)
            if known is None or (need.seeds or 0) > (known.seeds or 0):
                found[need.variant] = need
    return list(found.values())


def needs_text(needed: Sequence[Need]) -> str:
    """State what variants need in words: ``dropout and l2: about 12 seeds would decide``."""
    sentences = []
    if seeds := [need for need in needed if need.seeds is not None]:
        most = max(need.seeds or 0 for need in seeds)
        sentences.append(
            f"{listed([need.variant for need in seeds])}: about {counted(most, 'seed')} would decide"
        )
    for limit, text in _LIMITS.items():
        if names := [need.variant for need in needed if need.limit == limit and need.seeds is None]:
            sentences.append(f"{listed(names)}: {text}")
    return "; ".join(sentences)


def _need(finding: StudyFinding, effect: Effect) -> Need:
    """Estimate the seeds after which a decisive quantity decides, at its mean and spread so far."""
    counts, limits = [], list[Limit]()
    judged = [each for each in finding.effects[1:] if not each.described.data] or finding.effects[1:]
    decisive = finding.study.kind.decisive
    alpha = ALPHA / (max(1, len(judged) * len(decisive)) * 2**finding.study.looks)
    for name in decisive:
        of = finding.quantities[name]
        values, sampled = _paired(finding, effect, of)
        if len(values) < 2:  # noqa: PLR2004  (no spread)
            continue
        tuned = 0.0  # the variance from tuning, on both sides
        if name == finding.study.kind.criterion:
            tuned = sum(_tuning_variance(finding, each) for each in (effect, finding.reference))
        count = seeds_needed(values, _margin(finding, of), alpha, sampled + tuned)
        if count is None:
            limits.append("the test set" if sampled >= tuned else "the tuning")
        else:
            counts.append(count)
    return Need(effect.variant.name, min(counts, default=None), limits[0] if limits else "")


def _paired(finding: StudyFinding, effect: Effect, of: Quantity) -> tuple[np.ndarray, float]:
    """Return the differences of paired seeds, and the variance of their mean that is due to the samples."""
    at_best = finding.study.kind.at == "best"
    stopped = effect.variant.name == EARLY_STOPPING.name
    runs = {variant.name: treated for variant, _, treated in finding.treated}
    theirs = finding.configuration
    ours = theirs if stopped else runs[effect.variant.name]
    if of.of_samples is not None:
        first, second = ([run.record for run in side.runs] for side in (ours, theirs))
        paired = paired_scores(first, second, of.of_samples, our_best=at_best or stopped, their_best=at_best)
        return paired.differences, 0.0 if paired.sampling is None else paired.sampling.variance
    values = of.values(ours, at_best or stopped), of.values(theirs, at_best)
    if of.ratio:
        return np.log(ratios(*values)), 0.0
    return np.array(differences(*values)), 0.0


def _tuning_variance(finding: StudyFinding, effect: Effect) -> float:
    """Estimate the variance of the criterion over repeated draws of a variant's trials."""
    study = finding.study
    sign = criterion(study.kind, finding.configuration.record.task.description).sign
    values = [each.value for each in study.trials if each.variant == effect.variant.name]
    known = [sign * value for value in values if value is not None]
    worst = min(known, default=0.0)  # a trial that diverged counts as the worst
    return spread_of_best([*known, *[worst] * (len(values) - len(known))]) ** 2


def _margin(finding: StudyFinding, of: Quantity) -> float:
    """Return the margin of a decisive quantity in its unit; of a ratio in logarithms."""
    margin = of.measure.margin
    if of.ratio:
        return math.log1p(margin)
    level = finding.reference.levels[of.name]
    return margin * abs(level.value) if of.measure.relative and level is not None else margin
