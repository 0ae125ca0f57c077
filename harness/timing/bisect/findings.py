"""Findings from the values of a bisection: the state of its search, and the difference of good and bad."""

import math

import numpy as np

from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import student_quantile
from harness.timing.bisect.record import BisectRecord, Outcome
from harness.timing.bisect.search import LEAST_SCALE, Search, exact_search
from harness.timing.duel.verdict import DIFFERENCE_LEVEL, SAME_LEVEL
from harness.timing.engine.intervals import bootstrap_interval
from harness.timing.engine.ratios import Ratios
from harness.timing.engine.record import MOST_PAIRS
from harness.timing.gate.metric_table import metrics

#: The pairs after which good and bad are judged by intervals; each time at an equal share of the level.
_LOOKS = (4, 6, 9, 13, 19, 28, MOST_PAIRS)
#: The same of quantities such as memory, in which equal processes hardly differ, so that three pairs decide.
_LOOKS_AT_QUANTITIES = (3, *_LOOKS)
#: Fewer pairs are no ground to give a comparison up; and about as many standard errors show a difference.
FEWEST_FOR_FORECAST, _SHOWN_AT = 13, 4.0
#: Pairs of a quantity are taken to vary by this much at least.
_LEAST_DEVIATION = 0.002
#: A culprit is named if the pairs multiply its odds by this much (Jeffreys 1961: strong evidence), and make
#: it likelier than not.
_EVIDENT_FACTOR = 10.0


def search_of(record: BisectRecord) -> Search:
    """Return the search with all values of the record."""
    least = LEAST_SCALE if is_timed(record.metric) else _LEAST_DEVIATION
    search = Search(len(record.candidates) - 1, least)
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


def evident_culprits(record: BisectRecord) -> tuple[range, float] | None:
    """Return :func:`culprits_of` if the pairs are evidence for them; None if little but the prior is.

    A row of many candidates begins with one that is as likely as all others.
    """
    culprits, probability = culprits_of(record)
    prior = len(culprits) / (len(record.candidates) - 1)
    if prior == 1 or probability == 1:
        return culprits, probability
    factor = probability / (1 - probability) / (prior / (1 - prior))
    return (culprits, probability) if probability > 1 / 2 and factor >= _EVIDENT_FACTOR else None


def candidates_left(record: BisectRecord) -> range:
    """Return the shortest row of candidates that holds the culprit with the probability of the search."""
    until = np.concatenate([[0.0], np.cumsum(search_of(record).posterior)])
    ends = np.searchsorted(until, until[:-1] + record.probability * (1 - 1e-9))
    lengths = ends - np.arange(len(ends))
    first = int(np.where(ends < len(until), lengths, len(until)).argmin())
    return range(first + 1, int(ends[first]) + 1)


def is_searched(record: BisectRecord) -> bool:
    """Check that good and bad are shown to differ, so that one of the candidates is the culprit."""
    if record.metric == "values" or record.outcome in {"culprit", "no difference"}:
        return record.outcome != "no difference"
    return first_verdict(record) == "culprit"


def difference(record: BisectRecord) -> Ratios:
    """Return the pairs of good and bad."""
    return Ratios(np.array(_logs(record, len(record.candidates) - 1)), fenced=record.metric == "step")


def first_verdict(record: BisectRecord) -> Outcome | None:
    """Judge the pairs of good and bad: see :func:`verdict_of_pairs`."""
    return verdict_of_pairs(difference(record), record.same_within, is_time=is_timed(record.metric))


def verdict_of_pairs(pairs: Ratios, margin: float, *, is_time: bool) -> Outcome | None:
    """Judge pairs of good and bad: ``culprit`` if they differ, so that there is one; None: not yet.

    They are the same if their ratio is shown to be within the margin. A difference is searched if it is
    shown, and is not smaller than the margin in the pairs.
    """
    within, made = math.log1p(margin), len(pairs.logs)
    if not made:
        return None
    if _is_same(pairs, within, is_time=is_time):
        return "no difference"
    if abs(pairs.mean) >= within and _differs(pairs, within, is_time=is_time):
        return "culprit"
    return "undecided" if made >= MOST_PAIRS else None


def is_hopeless(pairs: Ratios, margin: float) -> bool:
    """Check that pairs that vary like these decide nothing, even if the most are made.

    Their mean is granted two standard errors in favour of either proof.
    """
    made, within = len(pairs.logs), math.log1p(margin)
    if made < FEWEST_FOR_FORECAST:
        return False
    deviation, mean = float(pairs.values.std(ddof=1)), abs(pairs.mean)
    granted, error = 2 * deviation / math.sqrt(made), deviation / math.sqrt(MOST_PAIRS)
    half = student_quantile(1 - SAME_LEVEL / 2 / len(_LOOKS), MOST_PAIRS - 1) * error
    may_be_same = max(0.0, mean - granted) + half <= within
    return not may_be_same and mean + granted < max(within, _SHOWN_AT * error)


def is_confirmed(record: BisectRecord) -> bool:
    """Check that the pairs of the culprit and the candidate before it show a difference."""
    pairs, within = Ratios(np.array(record.confirmation)), math.log1p(record.same_within)
    return len(pairs.logs) > 0 and _differs(pairs, within, is_time=is_timed(record.metric))


def _is_same(pairs: Ratios, within: float, *, is_time: bool) -> bool:
    """Check that the pairs centre within the margin: by their evidence, or at a look by their interval."""
    level = SAME_LEVEL / 2  # each of the two may be wrong
    half = _half_width(pairs, level, is_time=is_time)
    if half is not None and abs(float(pairs.logs.mean())) + half <= within:
        return True
    return pairs.same_p_value(within) <= level


def _differs(pairs: Ratios, within: float, *, is_time: bool) -> bool:
    """Check that the pairs do not centre on 0: by their evidence, or for a quantity at a look."""
    half = None if is_time else _half_width(pairs, DIFFERENCE_LEVEL / 2, is_time=is_time)
    if half is not None and abs(float(pairs.logs.mean())) > half:
        return True
    return pairs.difference_p_value(within) <= DIFFERENCE_LEVEL


def _half_width(pairs: Ratios, level: float, *, is_time: bool) -> float | None:
    """Return half of Student's interval, each end of which is wrong with ``level`` over all looks.

    None where the pairs are at no look.
    """
    looks = _LOOKS if is_time else _LOOKS_AT_QUANTITIES
    if len(pairs.logs) not in looks:
        return None
    deviation = max(0.0 if is_time else _LEAST_DEVIATION, float(pairs.logs.std(ddof=1)))
    degrees = len(pairs.logs) - 1
    return student_quantile(1 - level / len(looks), degrees) * deviation / math.sqrt(len(pairs.logs))


def is_timed(metric: str) -> bool:
    """Check that a metric is a time, which varies from process to process."""
    return metric != "values" and metrics()[metric].is_time


def ratio_of(record: BisectRecord, candidate: int) -> Estimate | None:
    """Return a candidate's ratio to good, with its 95 % interval; None where it was not measured."""
    logs = _logs(record, candidate)
    return bootstrap_interval(np.array(logs)).exp() if logs else None


def _logs(record: BisectRecord, candidate: int) -> list[float]:
    made = [probe.log_ratio for probe in record.probes if probe.candidate == candidate]
    return [log for log in made if log is not None]
