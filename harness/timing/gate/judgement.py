"""Verdicts from pairs, in two stages: unchanged code hardly ever fails, and most benchmarks are quick.

The *look*: a few pairs of every benchmark. A metric that they show to be within its limit has passed. The
*confirmation*: more pairs of the other benchmarks, one at a time, judged together with those of the look:

- PASS: being within the limit is proven. There are two chances to pass, the look and the confirmation, so
  their levels add up to the chance of a wrong PASS (union bound), however the look selects.
- FAIL: it is proven that head is slower than base at all, and being within the limit is not proven.
- INCONCLUSIVE: neither.
- INVALID: the machine was not the same for both, or the result cannot be believed.

Both proofs are tests that are valid at any number of pairs (:mod:`harness.timing.engine.evidence`), so a
metric is judged after every pair, and may be given up at any time. Every metric of the suite has the same
share of ``false_alarms``, whether it reaches the confirmation or not. So the pairs of the look count towards
FAIL too: the look passes some metrics, which can only prevent a FAIL. Holm's rule (1979) gives the share of a
metric that has failed to the others. A metric is within the limit only if the plain mean and the mean over
all blocks are within it too.
"""

import math
from typing import Literal

import msgspec
import numpy as np

from harness.core.documents.numbers import percent
from harness.core.stats.intervals import student_quantile
from harness.timing.duel.verdict import control_moved, too_many_lost
from harness.timing.engine.evidence import FEWEST_PAIRS, evidence_p_value
from harness.timing.gate.metric_table import metrics
from harness.timing.gate.metrics import PairedSeries
from harness.timing.gate.reasons import MORE_EVIDENCE, MORE_TIME, Kind, Reason
from harness.timing.gate.record import MetricResult, Verdict

#: Pairs of the look.
LOOK_PAIRS = FEWEST_PAIRS
#: The chance that the look passes a metric that is exactly at its limit.
_LOOK_LEVEL = 0.025
#: The same of the confirmation, at whatever pair it ends.
WITHIN_LEVEL = 0.05
#: With fewer pairs left, those that were lost leave no fair sample.
_FEWEST_LEFT = 3


def looked_at(series: PairedSeries, max_speedup: float | None) -> MetricResult:
    """Return the result after the look. Every other verdict than PASS is to be confirmed.

    PASS needs an upper end of Student's one-sided 97.5 % interval within the limit, and means over all blocks
    within it.
    """
    if reason := _why_invalid(series, max_speedup):
        return _result(series, "look", "INVALID", reason)
    logs = series.ratios.logs
    # With fewer, the budget ended before there were more.
    upper = _upper_end(logs) if len(logs) >= _FEWEST_LEFT else math.inf
    if max(upper, *series.ratios.cautious_means) >= math.log1p(series.limit):
        not_shown = _more_evidence("the first pairs do not show that head is within the limit")
        return _result(series, "look", "INCONCLUSIVE", _not_saved(series) or not_shown)
    return _result(series, "look", "PASS")


def confirmed(series: PairedSeries, max_speedup: float | None, level: float, *, last: bool) -> MetricResult:
    """Return the result after all pairs so far; ``last`` says that no more will come.

    ``level`` is that of the proof that head is worse. Without more pairs to come head fails by this proof
    alone; before, only if the loss is as large as the limit, because head may still be shown to be within it.
    """
    limit, worse = math.log1p(series.limit), 1.0

    def result(verdict: Verdict, reason: Reason | None = None) -> MetricResult:
        made = _result(series, "confirmation", verdict, reason)
        return msgspec.structs.replace(made, p_value=worse, level=level)

    if reason := _why_invalid(series, max_speedup):
        return result("INVALID", reason)
    # Else head was slower in the first pairs, such as before base began to pause.
    if series.ratios.mean > min(0.0, limit):
        worse = worse_p_value(series, limit)
    if series.ratios.within_p_value(limit) <= WITHIN_LEVEL:
        return result("PASS")
    if worse <= level and (last or series.ratios.mean >= limit):
        accept = f"raise {metrics()[series.metric].key}"
        text = "head is proven worse than base"
        reason = Reason(kind="proven worse", text=text, accept=accept, command="duel")
        return result("FAIL", _not_saved(series, refuted=True) or reason)
    return result("INCONCLUSIVE", _not_saved(series) or _not_decided(series, limit))


def _not_decided(series: PairedSeries, limit: float) -> Reason:
    """Return the reason why a loss up to ``limit``, a log ratio, is not decided.

    The printed interval is that of the pairs' centre; the reason names what else must be within the limit.
    """
    ratios = series.ratios
    high = ratios.ratio.high if ratios.ratio else None
    if high is not None and math.log(high) < limit <= max(ratios.cautious_means):
        return _more_evidence(
            "the interval is within the limit, but not the mean that counts slow blocks in full"
        )
    return _more_evidence("neither a loss nor being within the limit is proven")


def _not_saved(series: PairedSeries, *, refuted: bool = False) -> Reason | None:
    """Return the reason why a claimed saving is not passed; None for a limit of a loss."""
    if series.limit >= 0:
        return None
    claim, ratio = f"a saving of {-100 * series.limit:g} %", series.ratios.ratio
    least = 0.0 if ratio is None or ratio.high is None else 1 - ratio.high
    shown = math.floor(1000 * least + 1e-9) / 10  # rounded down, so that no more is stated than was shown
    found = f"at least {shown} %" if shown > 0 else "no saving"
    if refuted:
        instead = f"claim {shown} %" if shown > 0 else "make no claim"
        hint = f"Find out why head saves less, or {instead} (--expect-faster, min_speedup)."
        return Reason(kind="proven worse", text=f"{claim} is refuted; {found} is shown", hint=hint)
    if least >= -series.limit:  # the test asks for more than the interval
        return _more_evidence(f"{claim} is likely, and not proven", blocks_pass=True)
    return _more_evidence(f"{claim} is not shown; {found} is", blocks_pass=True)


def _more_evidence(text: str, *, kind: Kind = "undecided", blocks_pass: bool = False) -> Reason:
    """Return a reason that more pairs, or a quieter machine, may remove."""
    return Reason(kind=kind, text=text, hint=MORE_EVIDENCE, command="doctor", blocks_pass=blocks_pass)


def worse_p_value(series: PairedSeries, limit: float) -> float:
    """Return the p-value of the test that head is worse than base, or saves less than it must."""
    return evidence_p_value(series.ratios.logs - min(0.0, limit), abs(limit))


def final(result: MetricResult) -> MetricResult:
    """Return the result of an undecided metric when no more pairs will come.

    If the whole interval is beyond the limit, or the usable pairs are so few that no head could have failed,
    a reason states it, so that INCONCLUSIVE never becomes PASS.
    """
    if result.verdict != "INCONCLUSIVE":
        return result
    why, needed = list(result.reasons), FEWEST_PAIRS
    low = None if result.ratio is None else result.ratio.low
    if low is not None and low > 1 + result.limit >= 1:
        why = [_more_evidence("probably worse: the whole interval is beyond the limit", blocks_pass=True)]
    if result.pairs < needed:
        text = f"{result.pairs} of at least {needed} pairs"
        why.append(Reason(kind="undecided", text=text, hint=MORE_TIME, blocks_pass=True))
    return msgspec.structs.replace(result, reasons=why)


def _upper_end(logs: np.ndarray) -> float:
    error = float(logs.std(ddof=1)) / math.sqrt(len(logs))
    return float(logs.mean()) + student_quantile(1 - _LOOK_LEVEL, len(logs) - 1) * error


def _why_invalid(series: PairedSeries, max_speedup: float | None) -> Reason | None:
    """Return the reason why no verdict can rest on these pairs; None where one can."""
    usable = len(series.ratios.logs)
    pairs = usable + series.lost
    # Every pair has a first step, but only those with undisturbed turns show the state of the machine.
    lost = pairs - min(usable, len(series.control)) if series.metric == "first step" else series.lost
    if too_many_lost(lost, pairs) or (lost and pairs - lost < _FEWEST_LEFT):
        return _more_evidence(
            f"other work on the machine disturbed {lost} of {pairs} pairs", kind="not trusted"
        )
    if metrics()[series.metric].is_time and control_moved(series.control, abs(series.limit)):
        return _more_evidence(
            "the control computation shows that the machine was not equally fast for both", kind="not trusted"
        )
    saved = 1 - math.exp(series.ratios.mean)
    if series.metric == "step" and max_speedup is not None and saved > max_speedup:
        return Reason(
            kind="not trusted",
            text=f"head saves {percent(saved)} of the step time, and max_speedup is {percent(max_speedup)}",
            hint="Check that head does all the work. If it does, raise max_speedup.",
        )
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
