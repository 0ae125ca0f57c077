"""When two runs of one configuration agree: bit for bit, within rounding, or in quality over several seeds.

Two programs that compute the same part slowly, because they round differently. How fast depends on the
training, so it is measured here as the audit does: the steps are repeated twice from weights that are moved
by one rounding (:mod:`harness.core.audit.comparison`).
"""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from harness.core.audit.budgets import ROUNDING, SEPARATED
from harness.core.audit.comparison import compare_losses, deviation_of, equal_steps, first_difference
from harness.core.certify.certificate import Losses
from harness.core.documents.numbers import counted
from harness.core.runs.jobs import outcome_of
from harness.core.runs.record import Record
from harness.core.stats.equivalence import Equivalence
from harness.core.stats.intervals import FEWEST_FOR_INTERVAL
from harness.core.training.measures import Measure, Scores, measure_of_task
from harness.learning.runs.population import paired_scores
from harness.sharing.reproduce.repetition import Agreement, Verdict

#: Repeats steps of the repetition twice from weights that are moved by one rounding after so many steps;
#: returns the losses of both from there, or why it cannot be done.
Nearby = Callable[[int], tuple[Losses, Losses] | str]
#: Weights deviate by more than the losses of training show: a score may deviate by this many times as much.
_SCORE_FACTOR = 10.0
#: So many samples may lie between two classes.
_CHANGING_SIDES = 2
_NOT_ROUNDING = "which rounding does not explain"


class Trained(NamedTuple):
    """A run, and the losses of all its steps; None if their file is not beside the record."""

    record: Record
    losses: Losses | None

    @property
    def known_losses(self) -> Losses:
        """The losses of all steps, or else of the first ones."""
        return self.record.first_losses if self.losses is None else self.losses


class Compared(NamedTuple):
    """The agreement of one run with its repetition.

    ``open`` is True where a test over several seeds may show that quality is equal all the same.
    """

    agreement: Agreement
    open: bool


def compare(theirs: Trained, mine: Trained, nearby: Nearby) -> Compared:
    """Compare a run with its repetition; ``nearby`` is asked only where losses are not equal bit for bit."""
    if mine.record.status != "ok":
        failure = mine.record.failure
        why = f": {failure.message}" if failure else ""
        return _closed("different", f"the run ended as {mine.record.status} here{why}")
    steps = min(len(theirs.known_losses), len(mine.known_losses))
    if theirs.losses is not None and mine.losses is not None and len(theirs.losses) != len(mine.losses):
        return _closed(
            "different", f"it has {len(theirs.losses):,} steps there and {len(mine.losses):,} here"
        )
    ours, other = theirs.known_losses[:steps], mine.known_losses[:steps]
    equal = equal_steps(ours, other)
    if equal == steps and outcome_of(theirs.record) == outcome_of(mine.record):
        return _closed("identical", _identical_sentence(theirs, mine, steps))
    return _within_rounding(theirs, mine, ours, other, equal, nearby)


def _identical_sentence(theirs: Trained, mine: Trained, steps: int) -> str:
    if _complete(theirs, mine):
        return f"the losses of all {steps:,} steps and all scores are equal bit for bit"
    return (
        f"the first {counted(steps, 'step')}, the mean losses of all epochs and all scores are equal bit for "
        "bit; the losses of all steps are not beside the record"
    )


def _complete(theirs: Trained, mine: Trained) -> bool:
    return theirs.losses is not None and mine.losses is not None


def _closed(verdict: Verdict, reason: str) -> Compared:
    return Compared(Agreement(verdict=verdict, reasons=[reason]), open=False)


def _within_rounding(
    theirs: Trained, mine: Trained, ours: Losses, other: Losses, equal: int, nearby: Nearby
) -> Compared:
    precision, total = theirs.record.configuration.precision, len(ours)
    parted = f"losses part at step {equal + 1:,}" if equal < total else "all losses are equal bit for bit"
    worst, compared = 0.0, total
    if equal < total:
        found = compare_losses(ours[equal:], other[equal:], precision)
        unmeasured = ""
        if found.fault_at is not None and first_difference(ours, other, precision) != 0:
            near = nearby(equal)
            if isinstance(near, str):
                unmeasured = near
            else:
                found = compare_losses(ours[equal:], other[equal:], precision, near)
        if found.fault_at is not None:
            at = deviation_of(equal + found.fault_at, ours, other)
            reason = f"the loss of step {at.step:,} is {at.reported:.6g} there and {at.recomputed:.6g} here"
            verdict: Verdict = "undecided" if unmeasured else "different"
            why = f"and rounding could not be measured: {unmeasured}" if unmeasured else _NOT_ROUNDING
            return Compared(Agreement(verdict=verdict, reasons=[f"{reason}, {why}"]), open=True)
        worst, compared = found.worst, equal + found.compared_steps
    if compared < total:
        reason = (
            f"{parted}, and agree within rounding up to step {compared:,} of {total:,}; from there on "
            "rounding separates any two repetitions"
        )
        return Compared(Agreement(verdict="undecided", reasons=[reason]), open=True)
    apart = next(_scores_apart(theirs.record, mine.record, None if equal == total else worst), "")
    if apart and _complete(theirs, mine):
        reason = f"{apart}, although {parted if equal == total else 'all losses agree'}"
        return Compared(Agreement(verdict="different", reasons=[reason]), open=equal < total)
    if apart:
        why = "whether rounding explains it shows in the losses of all steps, which are not beside the record"
        return Compared(Agreement(verdict="undecided", reasons=[f"{apart}; {why}"]), open=True)
    rounding = "no loss or score deviates by more than rounding explains"
    largest = f"the largest deviation of a loss is {worst:.1g} of it"
    return _closed("equal within rounding", f"{parted}, and {rounding}; {largest}")


def _scores_apart(theirs: Record, mine: Record, worst: float | None) -> Iterator[str]:
    """Yield what deviates among the scores by more than losses that deviate by ``worst`` explain.

    None: all losses are equal bit for bit, and so must scores be. Otherwise a share of samples may deviate by
    two samples more, which lie between two classes, and at most by the margin of its measure.
    """
    measure = measure_of_task(theirs.task.description)
    rounding = ROUNDING[theirs.configuration.precision].score
    limit = 0.0 if worst is None else min(max(rounding, _SCORE_FACTOR * worst), SEPARATED)
    if len(theirs.epochs) != len(mine.epochs):
        yield f"{len(theirs.epochs)} epochs are scored there and {len(mine.epochs)} here"
        return
    fewest = min(theirs.dataset.samples.values(), default=1)
    of_share = min(measure.margin / measure.factor, limit + _CHANGING_SIDES / fewest)
    for where, ours, other in _scores(theirs, mine):
        for name in dict.fromkeys([*ours, *other]):
            a, b = ours.get(name), other.get(name)
            if a == b:
                continue
            share = worst is not None and name == measure.key and measure.unit == "points"
            allowed = of_share if share else limit * max(abs(a or 0), abs(b or 0))
            if a is None or b is None or not abs(a - b) <= allowed:
                yield f"{where} {name} is {_shown(a)} there and {_shown(b)} here"


def _shown(score: float | None) -> str:
    return "not finite" if score is None else f"{score:.6g}"


def _scores(theirs: Record, mine: Record) -> Iterator[tuple[str, Scores, Scores]]:
    for ours, other in zip(theirs.epochs, mine.epochs, strict=True):
        where = f"after epoch {ours.epoch} the"
        yield where, {"mean loss": ours.training_loss}, {"mean loss": other.training_loss}
        yield f"{where} training", ours.train, other.train
        yield f"{where} validation", ours.validation, other.validation
    yield "the test", theirs.test_at_last or {}, mine.test_at_last or {}
    if theirs.best_epoch == mine.best_epoch:
        yield "at the best epoch the test", theirs.test_at_best or {}, mine.test_at_best or {}
    else:  # rounding decides between two epochs that score alike
        validation = {epoch.epoch: epoch.validation for epoch in theirs.epochs}
        there, here = (validation.get(record.best_epoch or 0, {}) for record in (theirs, mine))
        yield f"the best epoch is {theirs.best_epoch} there and {mine.best_epoch} here; its", there, here


def judge_group(group: Sequence[tuple[Trained, Trained, Compared]]) -> list[Agreement]:
    """Judge runs of one configuration: those whose difference rounding does not explain, by a test.

    It is the equivalence test of ``harness compare``, over the seeds of the group; of fewer than three seeds
    each run keeps its own verdict.
    """
    agreements = [compared.agreement for *_, compared in group]
    # Where this machine computes the bits of one seed, a seed that differs is of another training.
    is_repeatable = any(agreement.verdict == "identical" for agreement in agreements)
    if is_repeatable or not any(compared.open for *_, compared in group):
        return agreements
    theirs, mine = [each.record for each, *_ in group], [each.record for _, each, _ in group]
    seeds = {record.seed for record in theirs}
    measure = measure_of_task(theirs[0].task.description)
    if len(seeds) < FEWEST_FOR_INTERVAL:
        return [_with_few_seeds(compared, len(seeds)) for *_, compared in group]
    found = paired_scores(mine, theirs, measure).equivalence(_margin(theirs, measure))
    judged = _by_equivalence(found, measure, len(seeds))
    return [
        Agreement(verdict=judged.verdict, reasons=[*compared.agreement.reasons, *judged.reasons])
        if compared.open
        else compared.agreement
        for *_, compared in group
    ]


def _with_few_seeds(compared: Compared, seeds: int) -> Agreement:
    agreement = compared.agreement
    if not compared.open:
        return agreement
    more = (
        f"equal quality is tested from {FEWEST_FOR_INTERVAL} seeds on; "
        f"there {'is' if seeds == 1 else 'are'} {seeds}"
    )
    return msgspec.structs.replace(agreement, reasons=[*agreement.reasons, more])


def _margin(theirs: Sequence[Record], measure: Measure) -> float:
    """Return the margin of ``harness compare``; a relative one is a share of the mean score there."""
    scores = [record.test_scores(best=False).get(measure.key) for record in theirs]
    known = [measure.factor * score for score in scores if score is not None and math.isfinite(score)]
    return measure.margin_at(statistics.fmean(known) if known else None)


def _by_equivalence(found: Equivalence, measure: Measure, seeds: int) -> Agreement:
    difference = found.difference
    interval = ""
    if difference is not None and difference.low is not None and difference.high is not None:
        figures = f"{difference.value:+.3g} [{difference.low:.3g}, {difference.high:.3g}]"
        interval = f": {figures} {measure.unit}".rstrip()
    over = f"over {seeds} seeds, test {measure.name}"
    match found.verdict:
        case "equal":
            return Agreement(
                verdict="equivalent",
                reasons=[f"{over} is equal within {found.margin:.3g} {measure.unit}".rstrip() + interval],
            )
        case "different":
            return Agreement(verdict="different", reasons=[f"{over} differs{interval}"])
        case _:
            needed = "more samples are needed" if found.needs_samples else "more seeds are needed"
            if found.seeds_needed is not None:
                needed = f"about {found.seeds_needed} seeds are needed"
            return Agreement(verdict="undecided", reasons=[f"{over} is undecided{interval}; {needed}"])
