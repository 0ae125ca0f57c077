"""From pairs to verdicts, in two stages: unchanged code hardly ever fails, and most benchmarks are quick.

The *look*: a few pairs of every benchmark. A metric that they show to be within its limit has passed. The
*confirmation*: fresh pairs of the others, in which head must show that it is within the limit:

- PASS: being within the limit is proven by all pairs. There are two chances to pass, the look and this, so
  their levels add up to the chance of a wrong PASS (union bound), however the look selects.
- FAIL: the fresh pairs alone prove that head is slower than base at all, so that the selection by the look
  cannot cause a false alarm, and being within the limit is not proven.
- INCONCLUSIVE: neither.
- INVALID: the machine was not the same for both, or the result cannot be believed.

"Proven slower" is an exact sign-flip test of no difference. Holm's rule (1979) shares its level over all
undecided metrics of a suite, and its looks share it within one, so that the chance of any FAIL on unchanged
code stays below ``false_alarms``. The test cuts outliers among the pairs of a step
(:mod:`harness.duel.ratios`); to be within the limit, their plain mean and the mean over all blocks must be
so too.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from harness.duel.ratios import Ratios
from harness.duel.verdict import control_moved, too_many_lost
from harness.gate import reasons
from harness.gate.metrics import PairedSeries
from harness.gate.reasons import Reason
from harness.gate.record import MetricResult, Verdict
from harness.stats.intervals import student_quantile
from harness.stats.looks import Looks, fewest_pairs

#: Pairs of the look.
LOOK_PAIRS = 4
#: The chance that the look passes a metric that is exactly at its limit.
_LOOK_LEVEL = 0.025
#: The same of the confirmation, over all its looks.
WITHIN_LEVEL = 0.05
_FEWEST_PAIRS = 3


class Level(NamedTuple):
    """The level at which head may be proven worse: ``planned`` at first, ``now`` after others have failed."""

    planned: float
    now: float


class MetricLooks:
    """At which numbers of pairs one metric is tested in the confirmation: within its limit, and worse.

    A metric that passes early leaves the others its time, so the former may use more of its error early.
    """

    def __init__(self) -> None:
        self.within = Looks(first=8, soon=0.4)
        self.worse = Looks()

    def come_to(self, every: PairedSeries, fresh: PairedSeries, progress: float, *, last: bool) -> None:
        """See :meth:`harness.stats.looks.Looks.come_to`."""
        self.within.come_to(len(every.ratios.logs), progress, last=last)
        self.worse.come_to(len(fresh.ratios.logs), progress, last=last)

    @property
    def shares(self) -> dict[Literal["within", "worse"], dict[int, float]]:
        """The share of the error at each look, by its number of pairs."""
        return {"within": dict(self.within.shares), "worse": dict(self.worse.shares)}


def looked_at(series: PairedSeries, max_speedup: float | None) -> MetricResult:
    """The result after the look. All but PASS is to be confirmed.

    PASS needs an upper end of Student's one-sided 97.5 % interval within the limit, and means over all
    blocks within it.
    """
    if doubt := _doubt(series, max_speedup):
        return _result(series, "look", "INVALID", doubt)
    if max(_upper_end(series.ratios.logs), *series.ratios.cautious_means) >= math.log1p(series.limit):
        return _result(series, "look", "INCONCLUSIVE", reasons.LimitNotShown())
    return _result(series, "look", "PASS")


def confirmed(
    every: PairedSeries,
    fresh: PairedSeries,
    looks: MetricLooks,
    max_speedup: float | None,
    level: Level,
    *,
    last: bool,
) -> MetricResult:
    """The result after ``fresh`` pairs, which with those of the look are ``every`` pair.

    ``level`` is that of the proof that head is worse; ``last`` says that no more pairs will come. The result
    has the number of pairs that its verdict rests on.
    """

    def result(series: PairedSeries, verdict: Verdict, reason: Reason | None = None) -> MetricResult:
        made = _result(series, "confirmation", verdict, reason)
        return msgspec.structs.replace(made, p_value=fresh.ratios.p_value("greater"), looks=looks.shares)

    if doubt := _doubt(every, max_speedup):
        return result(every, "INVALID", doubt)
    limit = math.log1p(every.limit)
    if _proven_within(every.ratios, limit, looks.within):
        return result(every, "PASS")
    if _proven_worse(fresh.ratios, looks.worse, level) and (last or fresh.ratios.mean >= limit):
        return result(fresh, "FAIL", reasons.ProvenWorse())
    return result(every, "INCONCLUSIVE", reasons.NotDecided())


def final(result: MetricResult, fresh: int, level: Level, pair_seconds: float) -> MetricResult:
    """The result of an undecided metric when no more pairs will come.

    INVALID if the usable ``fresh`` pairs are so few that no head could have failed. If the whole interval
    is beyond the limit, a reason states it, so that INCONCLUSIVE never becomes PASS.
    """
    if result.verdict != "INCONCLUSIVE":
        return result
    why, needed = list(result.reasons), fewest_pairs(level.now, "greater")
    low = None if result.ratio is None else result.ratio.low
    if low is not None and low > 1 + result.limit:
        why.append(reasons.BeyondLimit())
    if fresh >= needed:
        return msgspec.structs.replace(result, reasons=why)
    why.append(reasons.TooFewPairs(needed=needed, made=fresh, pair_seconds=pair_seconds))
    return msgspec.structs.replace(result, verdict="INVALID", reasons=why)


def _proven_within(ratios: Ratios, limit: float, looks: Looks) -> bool:
    """Whether the test was significant at any of the looks so far."""
    levels = looks.levels(WITHIN_LEVEL, "less")
    return any(at_look.cautious_p_value("less", limit) <= at for at_look, at in _at_looks(ratios, levels))


def _proven_worse(ratios: Ratios, looks: Looks, level: Level) -> bool:
    """The same of the test that head is worse than base."""
    levels = looks.levels(level.now, "greater", planned=level.planned)
    return any(at_look.p_value("greater") <= at for at_look, at in _at_looks(ratios, levels))


def _at_looks(ratios: Ratios, levels: Mapping[int, float]) -> Iterator[tuple[Ratios, float]]:
    """The ratios at each look and its level, if they were over the same blocks as now: all, or the middle."""
    for look, level in levels.items():
        at_look = ratios.first(look)
        if at_look.uneven == ratios.uneven:
            yield at_look, level


def _upper_end(logs: np.ndarray) -> float:
    error = float(logs.std(ddof=1)) / math.sqrt(len(logs))
    return float(logs.mean()) + student_quantile(1 - _LOOK_LEVEL, len(logs) - 1) * error


def _doubt(series: PairedSeries, max_speedup: float | None) -> Reason | None:
    """Why no verdict can rest on these pairs; None where one can."""
    usable = len(series.ratios.logs)
    pairs = usable + series.lost
    # Every pair has a first step, but only those with undisturbed turns show the state of the machine.
    lost = pairs - min(usable, len(series.control)) if series.metric == "first step" else series.lost
    if pairs - lost < _FEWEST_PAIRS or too_many_lost(lost, pairs):
        return reasons.PairsLost(lost=lost, pairs=pairs)
    if series.metric != "memory" and control_moved(series.control, series.limit):
        return reasons.MachineChanged()
    saved = 1 - math.exp(series.ratios.mean)
    if series.metric == "step" and max_speedup is not None and saved > max_speedup:
        return reasons.ImplausibleSpeedup(saved=saved, max_speedup=max_speedup)
    return None


def _result(
    series: PairedSeries,
    stage: Literal["look", "confirmation"],
    verdict: Verdict,
    reason: Reason | None = None,
) -> MetricResult:
    ratios = series.ratios
    return MetricResult(
        metric=series.metric,
        verdict=verdict,
        reasons=[] if reason is None else [reason],
        stage=stage,
        limit=series.limit,
        base=series.base,
        head=series.head,
        ratio=ratios.ratio,
        p_value=None,
        pairs=len(ratios.logs),
        weight=ratios.weight,
        uneven=ratios.uneven,
    )
