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

import functools
import math
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from harness.duel.ratios import Ratios
from harness.duel.verdict import control_moved, too_many_lost
from harness.gate.metrics import PairedSeries
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
    told = functools.partial(_result, series, stage="look")
    if doubt := _doubt(series, max_speedup):
        return told(verdict="INCONCLUSIVE", reason=doubt, unsound=True)
    if max(_upper_end(series.ratios.logs), *series.ratios.cautious_means) >= math.log1p(series.limit):
        return told(verdict="INCONCLUSIVE", reason="not surely within the limit after a few pairs")
    return told(verdict="PASS")


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
    told = functools.partial(
        _result, stage="confirmation", p_value=fresh.ratios.p_value("greater"), looks=looks.shares
    )
    if doubt := _doubt(every, max_speedup):
        return told(every, verdict="INCONCLUSIVE", reason=doubt, unsound=True)
    limit = math.log1p(every.limit)
    if _proven_within(every.ratios, limit, looks.within):
        return told(every, verdict="PASS")
    if _proven_worse(fresh.ratios, looks.worse, level) and (last or fresh.ratios.mean >= limit):
        reason = "worse than base, and not shown to be within the limit"
        return told(fresh, verdict="FAIL", reason=reason)
    reason = "neither a loss nor being within the limit is proven: more time or a quieter machine would tell"
    return told(every, verdict="INCONCLUSIVE", reason=reason)


def told_of_power(result: MetricResult, fresh: int, level: Level, pair_seconds: float) -> MetricResult:
    """The last word on what is undecided, which must not pass for want of more pairs in two cases.

    It is unsound where so few ``fresh`` pairs could have failed no head; and speaks ``against`` head where
    the whole interval is beyond the limit.
    """
    if result.unsound:
        return result
    wanted = fewest_pairs(level.now, "greater")
    against = result.low is not None and result.low > 1 + result.limit
    reasons = {
        result.reason: True,
        f"proving a loss takes {wanted} fresh pairs of about {pair_seconds:.0f} s, and {fresh} told "
        "something: give a larger budget": fresh < wanted,
        "its whole interval is beyond the limit": against,
    }
    told = "; ".join(reason for reason, holds in reasons.items() if reason and holds)
    return msgspec.structs.replace(result, unsound=fresh < wanted, against=against, reason=told)


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


def _doubt(series: PairedSeries, max_speedup: float | None) -> str:
    """Why no verdict can rest on these pairs; empty where one can."""
    told = len(series.ratios.logs)
    pairs = told + series.lost
    # A first step shows in every pair, but only those with undisturbed turns say what the machine was like.
    lost = pairs - min(told, len(series.control)) if series.metric == "first step" else series.lost
    if pairs - lost < _FEWEST_PAIRS or too_many_lost(lost, pairs):
        return f"{lost} of {pairs} pairs were lost to disturbances by other work"
    if series.metric != "memory" and control_moved(series.control, series.limit):
        return "a fixed work took another time before one side's turns: the machine was not the same"
    saved = 1 - math.exp(series.ratios.mean)
    if series.metric == "step" and max_speedup is not None and saved > max_speedup:
        return (
            f"head saves {saved:.0%} of the time, more than is believed (max_speedup = "
            f'"{100 * max_speedup:g}%"): see that it does all the work, then raise max_speedup once'
        )
    return ""


def _result(
    series: PairedSeries,
    *,
    stage: Literal["look", "confirmation"],
    verdict: Verdict,
    reason: str = "",
    unsound: bool = False,
    p_value: float | None = None,
    looks: dict[Literal["within", "worse"], dict[int, float]] | None = None,
) -> MetricResult:
    ratios = series.ratios
    made, ratio = len(ratios.logs), ratios.ratio
    return MetricResult(
        metric=series.metric,
        verdict=verdict,
        reason=reason,
        unsound=unsound,
        stage=stage,
        limit=series.limit,
        base=series.base,
        head=series.head,
        ratio=ratio and ratio.value,
        low=ratio and ratio.low,
        high=ratio and ratio.high,
        p_value=p_value,
        pairs=made,
        weight=ratios.weight,
        uneven=ratios.uneven,
        looks=looks or {},
    )
