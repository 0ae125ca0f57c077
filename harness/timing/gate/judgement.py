"""From pairs to verdicts, in two stages: unchanged code hardly ever fails, and most benchmarks are quick.

The *look*: a few pairs of every benchmark. A metric that they show to be within its limit has passed. The
*confirmation*: more pairs of the others, one at a time, judged together with those of the look:

- PASS: being within the limit is proven. There are two chances to pass, the look and this, so their levels
  add up to the chance of a wrong PASS (union bound), however the look selects.
- FAIL: it is proven that head is slower than base at all, and being within the limit is not proven.
- INCONCLUSIVE: neither.
- INVALID: the machine was not the same for both, or the result cannot be believed.

Both proofs are tests that are valid at any number of pairs (:mod:`harness.timing.engine.evidence`), so a
metric is
judged after every pair, and may be given up at any time. Every metric of the suite has the same share of
``false_alarms``, whether it reaches the confirmation or not. So the pairs of the look count towards FAIL too:
that the look passes some metrics can only prevent a FAIL. Holm's rule (1979) gives the share of a metric that
has failed to the others. To be within the limit, the plain mean and the mean over all blocks must be so too.
"""

import math
import statistics
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from harness.core.stats.intervals import student_quantile
from harness.errors import HarnessError, NoWorkersHere, UsageError
from harness.timing.duel.verdict import control_moved, too_many_lost
from harness.timing.engine.evidence import (
    FEWEST_PAIRS,
    evidence_p_value,
    more_pairs,
)
from harness.timing.engine.ratios import (
    WITHIN_SHARE,
    Ratios,
    control_log_ratio,
    step_ratios,
)
from harness.timing.engine.record import PairRecord
from harness.timing.engine.sessions import ConfigurationFailed
from harness.timing.environments.suite import Limits
from harness.timing.gate import reasons
from harness.timing.gate.metric_table import MetricName, metrics
from harness.timing.gate.reasons import Reason
from harness.timing.gate.record import (
    BenchmarkRecord,
    MetricResult,
    Verdict,
)

# Log ratios of one metric, head over base, from pairs of processes.

_BASE, _HEAD = 0, 1


def metric_ratios(
    pairs: Iterable[PairRecord], metric: MetricName, batch_sizes: list[int], index: int = _HEAD
) -> Ratios:
    """Return the log ratios of a process over base; above 0 is worse.

    Of the step, pairs lost to disturbances are left out; of a quantity, pairs in which a process has none.
    Outliers are down-weighted in the step, as in a duel, and not in the other metrics.
    """
    if metric == "step":
        return step_ratios(pairs, index, batch_sizes)
    judged = metrics()[metric]
    logs = [log for pair in pairs if (log := judged.log_ratio(pair, index, _BASE)) is not None]
    return Ratios(np.array(logs))


def benchmark_ratios(benchmark: BenchmarkRecord, metric: MetricName, pairs: list[PairRecord]) -> Ratios:
    """The log ratios of some pairs of a benchmark."""
    return metric_ratios(pairs, metric, [ran.batch_size for ran in benchmark.configurations])


def ratios_behind(benchmark: BenchmarkRecord, result: MetricResult) -> Ratios:
    """The log ratios that a verdict rests on: after the look its pairs, else all.

    Pairs that were made for another metric after this one was decided are left out.
    """
    pairs = list(benchmark.look)
    if result.stage == "confirmation":
        pairs += benchmark.confirmation
    return benchmark_ratios(benchmark, result.metric, pairs).first(result.pairs)


# The metrics of a gate from pairs of processes: log ratios of head over base, and both medians.


class PairedSeries(NamedTuple):
    """The ratios of one metric, of the pairs that were not lost; medians over processes.

    ``control`` are the log ratios ``(pairs,)`` of a fixed computation before the blocks. ``lost`` is the
    number of pairs lost to disturbances.
    """

    metric: MetricName
    limit: float
    ratios: Ratios
    control: np.ndarray
    lost: int
    base: float
    head: float


def series(pairs: list[PairRecord], limits: Limits, batch_sizes: list[int]) -> list[PairedSeries]:
    """The series of each metric that has a limit. ``batch_sizes`` are base's and head's."""
    control = np.array([ratio for pair in pairs if (ratio := control_log_ratio(pair, _HEAD)) is not None])
    every = []
    for metric, limit in limits_of(limits).items():
        of_base, of_head = (
            [value for pair in pairs if (value := metrics()[metric].value(pair, own, other)) is not None]
            for own, other in ((_BASE, _HEAD), (_HEAD, _BASE))
        )
        if pairs and not (of_base and of_head):
            continue  # a quantity that base or head does not measure
        ratios = metric_ratios(pairs, metric, batch_sizes)
        lost = len(pairs) - len(ratios.logs)
        base, head = statistics.median(of_base), statistics.median(of_head)
        every.append(PairedSeries(metric, limit, ratios, control, lost, base, head))
    return every


def limits_of(limits: Limits) -> dict[MetricName, float]:
    """Return the limit of each metric that is judged; below 0 it is a saving that must be proven."""
    every = {metric.name: limits.of(metric.key) for metric in metrics().values()}
    if limits.min_speedup is not None:
        every["step"] = -limits.min_speedup
    return {metric: limit for metric, limit in every.items() if limit is not None}


#: Pairs of the look.
LOOK_PAIRS = FEWEST_PAIRS
#: The chance that the look passes a metric that is exactly at its limit.
_LOOK_LEVEL = 0.025
#: The same of the confirmation, at whatever pair it ends.
WITHIN_LEVEL = 0.05
#: With fewer pairs left, those that were lost leave no fair sample.
_FEWEST_LEFT = 3


def looked_at(series: PairedSeries, max_speedup: float | None) -> MetricResult:
    """The result after the look. All but PASS is to be confirmed.

    PASS needs an upper end of Student's one-sided 97.5 % interval within the limit, and means over all
    blocks within it.
    """
    if reason := _why_invalid(series, max_speedup):
        return _result(series, "look", "INVALID", reason)
    logs = series.ratios.logs
    if len(logs) < _FEWEST_LEFT:  # the budget ended before there were more
        return _result(series, "look", "INCONCLUSIVE", reasons.LimitNotShown())
    if max(_upper_end(logs), *series.ratios.cautious_means) >= math.log1p(series.limit):
        return _result(series, "look", "INCONCLUSIVE", reasons.LimitNotShown())
    return _result(series, "look", "PASS")


def confirmed(series: PairedSeries, max_speedup: float | None, level: float, *, last: bool) -> MetricResult:
    """The result after all pairs so far; ``last`` says that no more will come.

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
        worse = _worse_p_value(series, limit)
    if series.ratios.within_p_value(limit) <= WITHIN_LEVEL:
        return result("PASS")
    if worse <= level and (last or series.ratios.mean >= limit):
        return result("FAIL", reasons.ProvenWorse())
    return result("INCONCLUSIVE", reasons.NotDecided())


def _worse_p_value(series: PairedSeries, limit: float) -> float:
    """Of the test that head is worse than base, or saves less than it must."""
    return evidence_p_value(series.ratios.logs - min(0.0, limit), abs(limit))


def pairs_wanted(series: PairedSeries, level: float) -> int | None:
    """About how many more pairs decide an undecided metric; None if pairs like these never do.

    At the observed loss either proof may come first. A loss below the limit that is proven already fails when
    no more pairs come; until then only being within the limit may still be shown.
    """
    limit, logs = math.log1p(series.limit), series.ratios.logs
    within = more_pairs(limit - logs, abs(limit) * WITHIN_SHARE, WITHIN_LEVEL)
    worse = more_pairs(logs - min(0.0, limit), abs(limit), level)
    if worse == 0 and series.ratios.mean < limit:
        return within
    return min((wanted for wanted in (within, worse) if wanted is not None), default=None)


def final(result: MetricResult, pair_seconds: float) -> MetricResult:
    """The result of an undecided metric when no more pairs will come.

    If the whole interval is beyond the limit, or the usable pairs are so few that no head could have failed,
    a reason states it, so that INCONCLUSIVE never becomes PASS.
    """
    if result.verdict != "INCONCLUSIVE":
        return result
    why, needed = list(result.reasons), FEWEST_PAIRS
    low = None if result.ratio is None else result.ratio.low
    if low is not None and low > 1 + result.limit:
        why = [reasons.BeyondLimit()]
    if result.pairs < needed:
        why.append(reasons.TooFewPairs(needed=needed, made=result.pairs, pair_seconds=pair_seconds))
    return msgspec.structs.replace(result, reasons=why)


def _upper_end(logs: np.ndarray) -> float:
    error = float(logs.std(ddof=1)) / math.sqrt(len(logs))
    return float(logs.mean()) + student_quantile(1 - _LOOK_LEVEL, len(logs) - 1) * error


def _why_invalid(series: PairedSeries, max_speedup: float | None) -> Reason | None:
    """Why no verdict can rest on these pairs; None where one can."""
    usable = len(series.ratios.logs)
    pairs = usable + series.lost
    # Every pair has a first step, but only those with undisturbed turns show the state of the machine.
    lost = pairs - min(usable, len(series.control)) if series.metric == "first step" else series.lost
    if too_many_lost(lost, pairs) or (lost and pairs - lost < _FEWEST_LEFT):
        return reasons.PairsLost(lost=lost, pairs=pairs)
    if metrics()[series.metric].is_time and control_moved(series.control, series.limit):
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


# What is to come of a benchmark in its confirmation: how long it may take, and whether more pairs help.

#: With fewer pairs a forecast is too uncertain to give a benchmark up: in simulated gates on a very busy
#: machine a loss of 10 % failed in 79 of 100 if 10 pairs sufficed, and in 89 with 20.
_FEWEST_FOR_FORECAST = 20
#: Half as many suffice if a loss is proven and is at least this share of the limit: little speaks for PASS.
_NEAR_LIMIT = 0.8
#: More pairs are hopeless if about so many times as many are needed as there is time for.
_HOPELESS = 2.0


class Outlook(NamedTuple):
    """``pairs_wanted`` more pairs decide, about (None: no number does); there is time for ``pairs_left``."""

    pairs_wanted: int | None
    pairs_left: int
    pair_seconds: float
    is_hopeless: bool

    @property
    def seconds(self) -> float:
        """About how long it will go on."""
        wanted = self.pairs_left if self.pairs_wanted is None else self.pairs_wanted
        return min(wanted, self.pairs_left) * self.pair_seconds


def outlook(
    undecided: Sequence[PairedSeries],
    level: float,
    pair_seconds: float,
    seconds_left: float,
    most_pairs: int,
    *,
    may_end: bool,
) -> Outlook:
    """The outlook for the ``undecided`` metrics, of which head fails at ``level``.

    At most ``most_pairs`` more are made. It is hopeless only if it ``may_end`` before the time is over.
    """
    is_limited = pair_seconds > 0 and seconds_left < math.inf
    fits = math.floor(seconds_left / pair_seconds) if is_limited else most_pairs
    left = max(0, min(most_pairs, fits)) if seconds_left > 0 else 0
    wanted = [pairs_wanted(series, level) for series in undecided]
    beyond = [
        _is_certain_enough(series, level) and (pairs is None or pairs > _HOPELESS * left)
        for series, pairs in zip(undecided, wanted, strict=True)
    ]
    is_hopeless = may_end and bool(beyond) and all(beyond)
    known = [pairs for pairs in wanted if pairs is not None]
    return Outlook(
        max(known) if known and len(known) == len(wanted) else None, left, pair_seconds, is_hopeless
    )


def _is_certain_enough(series: PairedSeries, level: float) -> bool:
    """Whether there are enough pairs for a forecast that gives a metric up."""
    limit, ratios = math.log1p(series.limit), series.ratios
    if len(ratios.logs) < _FEWEST_FOR_FORECAST / 2:
        return False
    is_likely = ratios.mean >= _NEAR_LIMIT * limit and _worse_p_value(series, limit) <= level
    return is_likely or len(ratios.logs) >= _FEWEST_FOR_FORECAST


# The verdict of a benchmark and of a gate, from what was measured and from what ended it early.

_WORST_FIRST: tuple[Verdict, ...] = ("FAIL", "INVALID", "INCONCLUSIVE", "PASS")


class Ended(HarnessError):
    """Nothing more can be measured of a benchmark, for no fault of head's; the verdict is INVALID."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


def conclude(record: BenchmarkRecord, work: Callable[[], None]) -> bool:
    """Do the work that fills a record and set its verdict; False if the work ended early."""
    start = time.monotonic()
    ended = _ended_by(work)
    record.seconds += time.monotonic() - start
    verdicts = [result.verdict for result in record.results]
    record.reasons = []
    if ended is not None:
        verdict, reason = ended
        verdicts.append(verdict)
        record.reasons.append(reason)
    record.verdict = worst_of(verdicts)
    return ended is None


def worst_of(verdicts: Iterable[Verdict]) -> Verdict:
    """FAIL before INVALID before INCONCLUSIVE before PASS; INVALID if there are none."""
    return min(verdicts, key=_WORST_FIRST.index, default="INVALID")


def failed(error: ConfigurationFailed) -> tuple[Verdict, Reason]:
    """FAIL if head failed; INVALID if base did, for then there is nothing to compare head with."""
    reason = reasons.Failed(label=error.label, message=error.reason)
    return "INVALID" if error.label == "base" else "FAIL", reason


def _ended_by(work: Callable[[], None]) -> tuple[Verdict, Reason] | None:
    """Do the work; the verdict and reason of what ended it early, or None."""
    try:
        work()
    except Ended as error:
        return "PASS" if isinstance(error.reason, reasons.NewBenchmark) else "INVALID", error.reason
    except NoWorkersHere as error:
        return "INVALID", reasons.NoWorkers(message=str(error))
    except ConfigurationFailed as error:
        return failed(error)
    except UsageError:  # a step of the user's own that cannot be made as the suite asks for
        raise
    except HarnessError as error:  # base and head cannot be compared, as with different splits of the data
        return "FAIL", reasons.NotComparable(message=str(error))
    except Exception as error:  # noqa: BLE001  an error of the harness must not cost the other benchmarks
        place = traceback.extract_tb(error.__traceback__)[-1]
        message = f"{type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})"
        return "INVALID", reasons.HarnessFault(message=message)
    return None
