"""Findings from the values of a bisection: the state of its search, and the difference of good and bad."""

import math

import numpy as np

from harness.core.stats.estimate import Estimate
from harness.timing.bisect.record import BisectRecord, Outcome
from harness.timing.bisect.search import Search, exact_search
from harness.timing.duel.verdict import DIFFERENCE_LEVEL, SAME_LEVEL
from harness.timing.engine.intervals import bootstrap_interval
from harness.timing.engine.ratios import Ratios
from harness.timing.engine.record import MOST_PAIRS

#: Pairs of good and bad that show a difference worth searching, or hardly ever will.
_MANY = 20


def search_of(record: BisectRecord) -> Search:
    """Return the search with all values of the record."""
    search = Search(len(record.candidates) - 1)
    for probe in record.probes:
        if probe.log_ratio is not None:
            search.add(probe.candidate, [probe.log_ratio])
    for skipped in record.skipped:
        search.skip(skipped.candidate)
    return search


def culprits_of(record: BisectRecord) -> tuple[range, float]:
    """Return the candidates that include the culprit, and the probability that they do."""
    if record.metric == "values":
        same = {each.candidate: each.is_same for each in record.returned}
        skipped = {each.candidate for each in record.skipped}
        return exact_search(same, len(record.candidates) - 1, skipped)[0], 1.0
    return search_of(record).culprits


def difference(record: BisectRecord) -> Ratios:
    """Return the pairs of good and bad."""
    return Ratios(np.array(_logs(record, len(record.candidates) - 1)), fenced=record.metric == "step")


def first_verdict(pairs: Ratios, margin: float) -> Outcome | None:
    """Judge the pairs of good and bad: ``culprit`` if they differ, so that there is one; None: not yet.

    Proof that they are the same takes many pairs on a busy machine. Without either proof after :data:`_MANY`
    pairs, an interval that holds 0 and reaches no farther than twice the margin ends the comparison too.
    """
    within, made = math.log1p(margin), len(pairs.logs)
    if not made:
        return None
    if pairs.difference_p_value(within) <= DIFFERENCE_LEVEL:
        return "culprit"
    if pairs.same_p_value(within) <= SAME_LEVEL:
        return "no difference"
    interval = bootstrap_interval(pairs.values)
    low, high = interval.low, interval.high
    if made >= _MANY and low is not None and high is not None and -2 * within < low <= 0 <= high < 2 * within:
        return "no difference"
    return "undecided" if made >= MOST_PAIRS else None


def is_confirmed(record: BisectRecord) -> bool:
    """Check that the pairs of the culprit and the candidate before it show a difference."""
    made = Ratios(np.array(record.confirmation))
    return len(made.logs) > 0 and made.difference_p_value(math.log1p(record.same_within)) <= DIFFERENCE_LEVEL


def ratio_of(record: BisectRecord, candidate: int) -> Estimate | None:
    """Return a candidate's ratio to good, with its 95 % interval; None where it was not measured."""
    logs = _logs(record, candidate)
    return bootstrap_interval(np.array(logs)).exp() if logs else None


def _logs(record: BisectRecord, candidate: int) -> list[float]:
    made = [probe.log_ratio for probe in record.probes if probe.candidate == candidate]
    return [log for log in made if log is not None]
