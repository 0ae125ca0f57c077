"""Head against a stored baseline: two samples of processes that ran at different times, the weaker way.

What the machine was like then is known only by a fixed work that was timed before every block; times are
told in units of it. What that does not show, a slow day of the machine, looks like a change of the code;
so a FAIL takes proof that the *limit* is exceeded, not only proof of a loss as between sides that take
turns.
"""

import math
import statistics

import msgspec
import numpy as np

from harness.duel.findings import steady_step_seconds
from harness.duel.pairs import control_log_ratio
from harness.duel.record import PairRecord
from harness.duel.verdict import too_many_lost
from harness.gate.baseline import StoredBenchmark
from harness.gate.judgement import WITHIN_LEVEL
from harness.gate.metrics import limits_of
from harness.gate.pair_ratios import FIRST_STEP_FLOOR_SECONDS, memory_bytes
from harness.gate.record import Metric, MetricResult, Verdict
from harness.gate.suite import Limits
from harness.stats.intervals import student_quantile, student_tail

#: By this share the fixed work may take another time than then, before times are not compared at all.
MOST_DRIFT = 0.15
_INTERVAL_TAIL = 0.025


def judge(base: StoredBenchmark, head: StoredBenchmark, limits: Limits, level: float) -> list[MetricResult]:
    """A verdict for each metric that has a limit; ``level`` is the chance of each to fail by noise alone."""
    if not _know_the_device(base, head):
        base, head = _of_the_host(base), _of_the_host(head)
    drift = math.exp(_mean_control(head.processes) - _mean_control(base.processes))
    return [
        _judged(metric, limit, base, head, level, _doubt(metric, drift, base, head, limits))
        for metric, limit in limits_of(limits).items()
    ]


def _know_the_device(*samples: StoredBenchmark) -> bool:
    """Whether every process tells the device's memory, which must not be held against the host's."""
    return all(
        facts.device_peak_memory_bytes
        for one in samples
        for process in one.processes
        for facts in process.processes
    )


def _of_the_host(one: StoredBenchmark) -> StoredBenchmark:
    """The same without a device's memory."""
    processes = [
        msgspec.structs.replace(
            process,
            processes=[
                msgspec.structs.replace(facts, device_peak_memory_bytes=None) for facts in process.processes
            ],
        )
        for process in one.processes
    ]
    return msgspec.structs.replace(one, processes=processes)


def _judged(
    metric: Metric, limit: float, base: StoredBenchmark, head: StoredBenchmark, level: float, doubt: str
) -> MetricResult:
    ours, theirs = (
        np.array([_log(process, metric, one) for process in one.processes]) for one in (base, head)
    )
    change = float(theirs.mean() - ours.mean())
    error, degrees = _welch(ours, theirs)
    bound = math.log1p(limit)
    if metric == "step" and not doubt and change < bound <= (over_all := _over_all_blocks(head, base)):
        doubt = (
            f"over all its blocks, a few of which are far longer, head takes {math.expm1(over_all):.0%} more"
        )
    verdict: Verdict = "INCONCLUSIVE"
    reason = doubt
    if not doubt and student_tail((bound - change) / error, degrees) <= WITHIN_LEVEL:
        verdict = "PASS"
    elif not doubt and student_tail((change - bound) / error, degrees) <= level:
        verdict, reason = "FAIL", "more than the limit worse than the stored baseline"
    elif not doubt:
        reason = "neither within nor beyond the limit is proven: hold head against base itself (--base)"
    half = student_quantile(1 - _INTERVAL_TAIL, degrees) * error
    against = verdict == "INCONCLUSIVE" and change - half > bound
    if against and not doubt:
        reason += "; its whole interval is beyond the limit"
    return MetricResult(
        metric=metric,
        verdict=verdict,
        reason=reason,
        unsound=bool(doubt),
        against=against and not doubt,
        stage="confirmation",
        limit=limit,
        base=_median(base, metric),
        head=_median(head, metric),
        ratio=math.exp(change),
        low=math.exp(change - half),
        high=math.exp(change + half),
        p_value=float(student_tail(change / error, degrees)),
        pairs=len(theirs),
        unpaired=True,
    )


def _welch(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """The standard error of a difference of means, and its degrees of freedom (Welch 1947)."""
    parts = [max(float(sample.var(ddof=1)) / len(sample), 1e-12) for sample in (ours, theirs)]
    degrees = sum(parts) ** 2 / sum(
        part**2 / (len(sample) - 1) for part, sample in zip(parts, (ours, theirs), strict=True)
    )
    return math.sqrt(sum(parts)), degrees


def _doubt(metric: Metric, drift: float, base: StoredBenchmark, head: StoredBenchmark, limits: Limits) -> str:
    if metric == "memory":
        return ""
    for whose, processes in (("the baseline's", base.processes), ("head's", head.processes)):
        lost = sum(control_log_ratio(process, 0) is None for process in processes)
        if too_many_lost(lost, len(processes)):
            return f"{lost} of {whose} {len(processes)} processes were disturbed by other work"
    if abs(drift - 1) > MOST_DRIFT:
        return (
            f"a fixed work takes {drift:.2f} times as long as for the baseline: the machine is not what "
            "it was; make the baseline anew"
        )
    ours, theirs = (_median(one, "step") / one.side.batch_size for one in (base, head))
    saved = 1 - theirs / ours
    if metric == "step" and limits.max_speedup is not None and saved > limits.max_speedup:
        return (
            f"head saves {saved:.0%} of the time, more than is believed (max_speedup = "
            f'"{100 * limits.max_speedup:g}%"): see that it does all the work, then make the baseline anew'
        )
    return ""


def _log(process: PairRecord, metric: Metric, of: StoredBenchmark) -> float:
    """The logarithm of a process's metric; times are in units of the fixed work."""
    if metric == "memory":
        return math.log(_metric(process, metric))
    if metric == "step":
        return math.log(_metric(process, metric) / of.side.batch_size) - _log_control(process)
    return math.log(_metric(process, metric) + FIRST_STEP_FLOOR_SECONDS) - _log_control(process)


def _metric(process: PairRecord, metric: Metric) -> float:
    (facts,) = process.processes
    match metric:
        case "step":
            return _step(process)
        case "first step":
            return facts.first_step_seconds
        case "memory":
            return memory_bytes(facts, facts)


def _over_all_blocks(head: StoredBenchmark, base: StoredBenchmark) -> float:
    """Head's loss over all of its time; of the processes the median, for a hiccup of the machine."""
    theirs, ours = (
        statistics.median(_log_of_all_blocks(process, one.side.batch_size) for process in one.processes)
        for one in (head, base)
    )
    return theirs - ours


def _log_of_all_blocks(process: PairRecord, batch_size: int) -> float:
    """The logarithm of a process's time per sample over all blocks but those that were disturbed."""
    calm = [block for block in process.blocks if not block.disturbed] or process.blocks
    seconds, steps = math.fsum(block.seconds for block in calm), sum(block.steps for block in calm)
    return math.log(seconds / (steps * batch_size)) - _log_control(process)


def _step(process: PairRecord) -> float:
    return steady_step_seconds(process, 0)


def _median(of: StoredBenchmark, metric: Metric) -> float:
    return statistics.median(_metric(process, metric) for process in of.processes)


def _log_control(process: PairRecord) -> float:
    return math.log(statistics.median(block.control_seconds for block in process.blocks))


def _mean_control(processes: list[PairRecord]) -> float:
    return statistics.fmean(map(_log_control, processes))
