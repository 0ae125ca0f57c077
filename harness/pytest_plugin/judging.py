"""The gate's verdict on one test: the same look and the same fresh pairs as of ``harness gate``."""

import logging
import time

import msgspec

from harness.duel.sides import Side
from harness.gate.contest import Contest
from harness.gate.record import BenchmarkRecord, Metric, MetricResult
from harness.pytest_plugin.training import Measured, Wish, own_threads_kept
from harness.record import DatasetRecord

_log = logging.getLogger("harness")
_UNITS: dict[Metric, tuple[str, float]] = {
    "step": ("ms", 1e3),
    "first step": ("s", 1.0),
    "memory": ("MiB", 2.0**-20),
}


def judge(
    wished: Wish, sides: list[Side], dataset: DatasetRecord, false_alarms: float, budget_seconds: float
) -> BenchmarkRecord:
    """Base against head. ``false_alarms`` is the chance that this test fails though nothing has changed.

    ``budget_seconds`` are for the fresh pairs of what looks suspicious. A side that fails gives a
    verdict, not an error.
    """
    head, benchmark = sides[1], wished.benchmark
    record = BenchmarkRecord(
        name=benchmark.name,
        backend=head.backend,
        mode=head.plan.mode,
        task=benchmark.task,
        options=head.options,
        dataset=msgspec.structs.replace(dataset),
        threads=head.plan.threads,
        limits=benchmark.limits,
    )
    with own_threads_kept():
        contest = Contest(benchmark, sides, record, lambda what: _say(benchmark.name, what), wished.turns)
        contest.look()
        if hypotheses := len(contest.suspicious):
            contest.confirm(lambda: false_alarms / hypotheses, time.monotonic() + budget_seconds)
    return record


def _say(name: str, what: str) -> None:
    _log.info("%s: %s", name, what)


def measured_of(record: BenchmarkRecord) -> Measured:
    """All pairs that the verdict rests on; none where a side failed before the first."""
    pairs = [*record.look, *record.confirmation]
    return Measured(record.sides, pairs, record.block_steps, record.turns, record.dataset, record.quality)


def verdict_sentence(record: BenchmarkRecord) -> str:
    """By how much, how sure, and what limit."""
    told = [_metric_words(one) for one in record.metrics if one.verdict == record.verdict]
    if record.verdict == "PASS":
        return f"PASS: {'; '.join(told)}"
    if not told:
        return f"{record.verdict}: {record.reason}"
    return f"{record.verdict}: {record.reason} ({'; '.join(told)})"


def _metric_words(one: MetricResult) -> str:
    unit, scale = _UNITS[one.metric]
    words = f"{one.metric} {one.base * scale:.4g} → {one.head * scale:.4g} {unit}"
    if one.ratio is not None:
        words += f", {one.ratio:.3f} times base's"
    if one.low is not None and one.high is not None:
        words += f" [{one.low:.3f}, {one.high:.3f}]"
    if one.p_value is not None:
        words += f", p = {one.p_value:.2g} over {one.pairs} fresh pairs"
    return f"{words}; limit {one.limit:.0%}"


def metric_facts(record: BenchmarkRecord) -> dict[str, object]:
    """The verdict for ``extra_info``, with every metric; the ratio is that of the step."""
    step = next((one for one in record.metrics if one.metric == "step"), None)
    return {
        "verdict": record.verdict,
        "reason": record.reason,
        "metrics": msgspec.to_builtins(record.metrics),
        "ratio": step and step.ratio,
        "interval": None if step is None or step.low is None else [step.low, step.high],
        "p_value": step and step.p_value,
    }
