"""The findings of a history, from records of gates and the repository of the current folder."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.core.documents.escaping import one_line
from harness.errors import UsageError, unknown_name
from harness.timing.environments.git import CommitText, commit_texts
from harness.timing.gate.metric_table import MetricName
from harness.timing.gate.reasons import reasons_text
from harness.timing.gate.record import GateRecord
from harness.timing.history.frame import metric_rows, selected
from harness.timing.history.series import MetricHistory, read_series
from harness.timing.history.words import gates_text


class Gap(NamedTuple):
    """Successive ``gates`` of one suite that did not measure a benchmark after it had been measured.

    ``metric`` was not measured; None: no metric was. ``reason`` is that of the last of the gates. ``open``:
    the gates are the newest of the suite.
    """

    benchmark: str
    metric: MetricName | None
    gates: list[str]
    open: bool
    reason: str


class HistoryFindings(NamedTuple):
    """The series, what was not measured, and why gates were left out.

    ``gates`` are all that were read, oldest first. ``commits`` are the titles and addresses of those of their
    commits that the repository knows.
    """

    series: list[MetricHistory]
    gaps: list[Gap]
    left_out: list[str]
    gates: Sequence[GateRecord]
    commits: Mapping[str, CommitText]


def find_history(
    gates: Sequence[GateRecord],
    benchmark: str | None = None,
    metric: MetricName | None = None,
    *,
    same_base: bool = False,
) -> HistoryFindings:
    """Return what the gates show, of one benchmark and metric or of all."""
    names = {recorded.name for gate in gates for recorded in gate.benchmarks}
    if benchmark is not None and benchmark not in names:
        raise unknown_name("benchmark", benchmark, names)
    chosen = selected(gates, benchmark, metric)
    rows, by_reason = metric_rows(chosen, same_base=same_base)
    left_out = [one_line(f"{gates_text(ids)}: {reason}") for reason, ids in by_reason.items()]
    if rows.empty:
        reasons = "; ".join(left_out) or "they measured nothing"
        raise UsageError(f"none of the {len(gates)} gates is usable: {reasons}")
    try:
        series = read_series(rows)
    except ImportError as error:
        raise UsageError(f'this needs {error.name}: pip install "dl-harness[history]"') from error
    not_measured = [
        gap
        for gap in gaps(gates)
        if benchmark in (None, gap.benchmark) and (metric is None or gap.metric in (None, metric))
    ]
    sides = [side.commit for gate in gates for side in (gate.base, gate.head) if side.commit]
    return HistoryFindings(series, not_measured, left_out, chosen, commit_texts(Path.cwd(), sides))


class _Attempt(NamedTuple):
    """A gate that measured a benchmark or a metric of it, or the reason why it did not."""

    gate: str
    measured: bool
    reason: str


def gaps(gates: Iterable[GateRecord]) -> list[Gap]:
    """Return every gap after a first measurement, in gates that ran to their end.

    Suites are distinguished by their file, so that two suites can share a folder.
    """
    suites: dict[str, list[GateRecord]] = {}
    for gate in sorted(gates, key=lambda gate: gate.started_at):
        if gate.status == "ok":
            suites.setdefault(gate.suite, []).append(gate)
    found = []
    for ordered in suites.values():
        every: dict[tuple[str, MetricName | None], list[_Attempt]] = {}
        for key, attempt in _attempts(ordered):
            every.setdefault(key, []).append(attempt)
        for (name, metric), attempts in every.items():
            since_first = itertools.dropwhile(lambda attempt: not attempt.measured, attempts)
            for measured, run in itertools.groupby(since_first, key=lambda attempt: attempt.measured):
                missed = list(run)
                if not measured:
                    ids = [attempt.gate for attempt in missed]
                    found.append(Gap(name, metric, ids, missed[-1] is attempts[-1], missed[-1].reason))
    return found


def _attempts(gates: list[GateRecord]) -> Iterator[tuple[tuple[str, MetricName | None], _Attempt]]:
    """Return whether each gate measured each benchmark, and if it did, whether each of its metrics."""
    metrics_of: dict[str, dict[MetricName, None]] = {}
    for gate in gates:
        for benchmark in gate.benchmarks:
            metrics_of.setdefault(benchmark.name, {}).update(
                dict.fromkeys(it.metric for it in benchmark.metrics)
            )
    for gate in gates:
        recorded = {benchmark.name: benchmark for benchmark in gate.benchmarks}
        for name, metrics in metrics_of.items():
            if name not in recorded:
                yield (name, None), _Attempt(gate.id, measured=False, reason="not in the suite")
                continue
            benchmark = recorded[name]
            reasons = [*benchmark.reasons, *(benchmark.quality.reasons if benchmark.quality else [])]
            yield (name, None), _Attempt(gate.id, bool(benchmark.metrics), reasons_text(reasons))
            results = {result.metric: result for result in benchmark.metrics}
            for metric in metrics if results else ():
                result = results.get(metric)
                reason = reasons_text(result.reasons) if result else "it has no limit"
                yield (name, metric), _Attempt(gate.id, result is not None and result.is_usable, reason)
