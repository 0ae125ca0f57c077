"""From pairs to verdicts, in two stages, so that unchanged code hardly ever fails and yet most is quick.

The *look*: a few pairs of every benchmark. What is surely within its limit by then has passed; all else
is suspicious. The *confirmation*: fresh pairs of what is suspicious. Head must show that it is within the
limit:

- FAIL: slower than base at all is proven by the fresh pairs alone, so that the choice made at the look
  cannot favour a false alarm, and being within the limit is not proven.
- PASS: being within the limit is proven by all pairs. Two chances to pass, the look and this, add up to
  at most the sum of their levels, whatever the choice made of them (the union bound).
- INCONCLUSIVE: neither; or the machine was not the same for both sides, or the result cannot be believed.

"Proven slower" is an exact sign-flip test of no difference. Over all suspicious metrics of a suite its
level is shared by Holm's rule (1979), and within one over the looks at it, so that the chance of any
FAIL on unchanged code stays below ``false_alarms``. In it outliers among the pairs of a step
count so far only (:mod:`harness.duel.ratios`); to be within the limit their plain mean must be so too, and
what all blocks come to.
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
#: The chance that the look lets pass what is in truth at its limit.
_LOOK_LEVEL = 0.025
#: The same of the confirmation, over all its looks.
WITHIN_LEVEL = 0.05
_FEWEST_PAIRS = 3


def looked_at(series: PairedSeries, max_speedup: float | None) -> MetricResult:
    """After the look: PASS, or INCONCLUSIVE, which is to say suspicious.

    PASS takes an upper end of Student's one-sided 97.5 % interval that is within the limit, and a mean
    over all blocks that is, of pairs that can be believed.
    """
    if doubt := _doubt(series, max_speedup):
        return _result(series, "look", "INVALID", doubt)
    if max(_upper_end(series.ratios.logs), *series.ratios.cautious_means) >= math.log1p(series.limit):
        return _result(series, "look", "INCONCLUSIVE", reasons.LimitNotShown())
    return _result(series, "look", "PASS")


class Level(NamedTuple):
    """The level at which head may be proven worse: ``planned`` at first, ``now`` after others have failed."""

    planned: float
    now: float


class MetricLooks:
    """When the confirmation of one metric is tested: for being within its limit, and for a loss.

    A metric that passes leaves the others its time, so being within the limit may use more error soon.
    """

    def __init__(self) -> None:
        self.within = Looks(first=8, soon=0.4)
        self.worse = Looks()

    def come_to(self, every: PairedSeries, fresh: PairedSeries, progress: float, *, last: bool) -> None:
        """See :meth:`harness.analysis.run_curves.summaries.looks.Looks.come_to`."""
        self.within.come_to(len(every.ratios.logs), progress, last=last)
        self.worse.come_to(len(fresh.ratios.logs), progress, last=last)

    @property
    def shares(self) -> dict[Literal["within", "worse"], dict[int, float]]:
        """The share of the error at each look, by its pairs."""
        return {"within": dict(self.within.shares), "worse": dict(self.worse.shares)}


def confirmed(
    every: PairedSeries,
    fresh: PairedSeries,
    looks: MetricLooks,
    max_speedup: float | None,
    level: Level,
    *,
    last: bool,
) -> MetricResult:
    """After ``fresh`` pairs, which with those of the look are ``every`` pair.

    ``level`` is for the proof that head is worse; ``last`` where no more pairs will come. The result tells
    the pairs that its verdict rests on.
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


def last_word(result: MetricResult, fresh: int, level: Level, pair_seconds: float) -> MetricResult:
    """The result of what is undecided when no more pairs come.

    INVALID where the usable ``fresh`` pairs are so few that no head could have failed. Where the whole
    interval is beyond the limit, a reason states it, so that INCONCLUSIVE is never folded into PASS.
    """
    if result.verdict != "INCONCLUSIVE":
        return result
    found, needed = list(result.reasons), fewest_pairs(level.now, "greater")
    low = None if result.ratio is None else result.ratio.low
    if low is not None and low > 1 + result.limit:
        found.append(reasons.BeyondLimit())
    if fresh >= needed:
        return msgspec.structs.replace(result, reasons=found)
    found.append(reasons.TooFewPairs(needed=needed, made=fresh, pair_seconds=pair_seconds))
    return msgspec.structs.replace(result, verdict="INVALID", reasons=found)


def _proven_within(ratios: Ratios, limit: float, looks: Looks) -> bool:
    """Whether the test was significant at any of the looks that these pairs have come to."""
    levels = looks.levels(WITHIN_LEVEL, "less")
    return any(seen.cautious_p_value("less", limit) <= at for seen, at in _seen(ratios, levels))


def _proven_worse(ratios: Ratios, looks: Looks, level: Level) -> bool:
    """The same of the test that head is worse than base."""
    levels = looks.levels(level.now, "greater", planned=level.planned)
    return any(seen.p_value("greater") <= at for seen, at in _seen(ratios, levels))


def _seen(ratios: Ratios, levels: Mapping[int, float]) -> Iterator[tuple[Ratios, float]]:
    """What each look saw, and its level, where that was of the same blocks as now: all, or the middle."""
    for look, level in levels.items():
        seen = ratios.first(look)
        if seen.uneven == ratios.uneven:
            yield seen, level


def _upper_end(logs: np.ndarray) -> float:
    error = float(logs.std(ddof=1)) / math.sqrt(len(logs))
    return float(logs.mean()) + student_quantile(1 - _LOOK_LEVEL, len(logs) - 1) * error


def _doubt(series: PairedSeries, max_speedup: float | None) -> Reason | None:
    """Why no verdict can rest on these pairs; None where one can."""
    usable = len(series.ratios.logs)
    pairs = usable + series.lost
    # A first step shows in every pair, but only those with undisturbed turns say what the machine was like.
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
