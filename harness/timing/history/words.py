"""A history in words: the number of series that changed, a sentence per series, and gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.core.documents.escaping import one_line
from harness.core.documents.numbers import counted, significant
from harness.timing.gate.metric_table import MetricName, metrics
from harness.timing.gate.words import change

if TYPE_CHECKING:
    from harness.timing.history.findings import Gap, HistoryFindings
    from harness.timing.history.series import MetricHistory


def headline(findings: HistoryFindings) -> str:
    """Return ``3 of 12 series changed over 30 gates, 2026-01-01 to 2026-01-30``."""
    series = findings.series
    used = {point.gate: point.date for each in series for point in each.points}
    dates = dict.fromkeys((min(used.values()), max(used.values())))
    over = f"{counted(len(used), 'gate')}, {' to '.join(dates)}"
    if all(len(each.rows) == 1 for each in series):
        return f"Too few gates to find a change: {over}"
    changed = sum(bool(each.changes) for each in series)
    if not changed:
        return f"No change in {len(series)} series over {over}"
    return f"{changed} of {len(series)} series changed over {over}"


def in_order(series: Sequence[MetricHistory]) -> list[MetricHistory]:
    """Sort series: changed series first, the largest regression at the top.

    Ended series come after current ones.
    """

    def place(each: MetricHistory) -> tuple[bool, bool, float]:
        return not each.changes, not each.latest, -each.total.value if each.changes else 0.0

    return sorted(series, key=place)


def name_of(series: MetricHistory) -> str:
    """Return ``cnn, step``; with the last date where the series does not reach the newest gates."""
    name = one_line(f"{series.benchmark}, {series.metric}")
    return name if series.latest else f"{name}, until {series.points[-1].date}"


def total_text(series: MetricHistory) -> str:
    """Return ``+9.3 % [8.9, 9.8]``: the last level relative to the base."""
    return change(series.metric, series.total)


def values_text(metric: MetricName, base: float, head: float) -> str:
    """Return ``10.2 → 10.8 ms``, of base and head in one gate. Those of several gates are not compared."""
    return f"{significant(base)} \N{RIGHTWARDS ARROW} {significant(head)} {metrics()[metric].unit}".rstrip()


def changes(series: MetricHistory) -> list[str]:
    """Return ``+3.1 % [2.4, 3.8] at commit abc (2026-01-05)`` for each change, else why there is none.

    Changes of the base or of the work stand among them.
    """
    if len(series.rows) == 1:
        return ["only one gate so far"]
    texts = [] if series.changes else ["no change"]
    for number, point in enumerate(series.points):
        if point.mark:
            texts.append(f"{one_line(point.mark)} {_place(point)}")
        if number in series.changes:
            texts.append(f"{change(series.metric, series.changes[number])} {_place(point)}")
    return texts


def _place(point: Any) -> str:
    return one_line(f"at {'commit' if point.head else 'gate'} {point.commit} ({point.date})")


def sentence(series: MetricHistory) -> str:
    """Return ``cnn, step: +3.1 % [2.4, 3.8] at commit abc (2026-01-05); in total +9.3 % [...] since ...``."""
    gates = counted(len(series.rows), "gate")
    in_total = f"in total {total_text(series)} since {one_line(series.start)} ({gates})"
    return f"{name_of(series)}: {', '.join(changes(series))}; {in_total}"


def gates_text(gates: Sequence[str]) -> str:
    """Return ``3 gates, ID to ID``."""
    return one_line(f"{counted(len(gates), 'gate')}, {' to '.join(dict.fromkeys((gates[0], gates[-1])))}")


def gap_sentence(gap: Gap) -> str:
    """Say what was not measured, when, and why; without a full stop."""
    name = gap.benchmark if gap.metric is None else f"{gap.benchmark}, {gap.metric}"
    newest = ", up to the newest" if gap.open else ""
    because = f": {gap.reason}" if gap.reason else ""
    return one_line(f"{name}, in {gates_text(gap.gates)}{newest}{because}")
