"""A history in words: a sentence a series, what is missing from it, and how many changed."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from harness.gate.history import History, MetricHistory, Point
from harness.gate.record import GateRecord
from harness.gate.vanished import Gap
from harness.report.escaping import one_line
from harness.report.gate_words import change


class ToldHistory(NamedTuple):
    """What a report of a history is made from; ``gates`` oldest first."""

    history: History
    gaps: list[Gap]
    gates: Sequence[GateRecord]


def headline(told: ToldHistory) -> str:
    """``3 of 12 series changed over 30 gates, 2026-01-01 to 2026-01-30``."""
    series = told.history.series
    changed = sum(bool(steps_of(one)) for one in series)
    dates = [gate.started_at[:10] for gate in told.gates]
    over = f"{_gates(len(dates))}, {dates[0]}" + (f" to {dates[-1]}" if dates[-1] != dates[0] else "")
    if not changed:
        return f"no change in {len(series)} series over {over}"
    return f"{changed} of {len(series)} series changed over {over}"


def in_order(series: Sequence[MetricHistory]) -> list[MetricHistory]:
    """Those that changed first, the largest loss before all; earlier stretches after those that go on."""
    changed = sorted((one for one in series if steps_of(one)), key=lambda one: -total(one))
    return sorted([*changed, *(one for one in series if not steps_of(one))], key=_place)


def _place(series: MetricHistory) -> tuple[bool, bool]:
    return not steps_of(series), not series.latest


def total(series: MetricHistory) -> float:
    """The logarithm of the last level over the first; 0 where it is not known."""
    return math.log(series.trend.total.value) if series.trend else 0.0


def steps_of(series: MetricHistory) -> list[tuple[Point, str]]:
    """Each change of level: the gate that it was first seen in, and by how much."""
    if series.trend is None:
        return []
    return [(series.points[step.at], change(series.metric, step.change)) for step in series.trend.steps]


def name_of(series: MetricHistory) -> str:
    """``cnn, step``, and where another stretch came after it up to when."""
    name = one_line(f"{series.benchmark}, {series.metric}")
    return name if series.latest else f"{name}, until {series.points[-1].date}"


def sentence(series: MetricHistory) -> str:
    """``cnn, step: +3.1 % [2.4, 3.8] at commit abc (2026-01-05), +9.3 % [...] in all since ...``."""
    name, count, trend = name_of(series), _gates(len(series.points)), series.trend
    since = f"since {one_line(series.start)}"
    if trend is None:
        return f"{name}: {count} {since}: too few to know their noise, so no change can be told yet"
    in_all = f"{change(series.metric, trend.total)} in all"
    if len(series.points) == 1:
        return f"{name}: {in_all.removesuffix(' in all')} {since}, in the only gate so far"
    if not trend.steps:
        return f"{name}: no change over {count} {since} ({in_all})"
    steps = [f"{size} at {place(point)} ({point.date})" for point, size in steps_of(series)]
    return f"{name}: {', '.join(steps)}, {in_all} {since} ({count})"


def place(point: Point) -> str:
    """``commit abc``, or the gate where its commit is not known."""
    return one_line(f"commit {point.name}" if point.head else f"gate {point.gate}")


def gap_sentence(gap: Gap) -> str:
    """What was not measured, when, and why."""
    name = gap.benchmark if gap.metric is None else f"{gap.benchmark}, {gap.metric}"
    why = f": {gap.reason.rstrip('.')}" if gap.reason else ""
    unasked = "not in the suite" if gap.metric is None else "not judged"
    missing = "not measured" if why else unasked
    if gap.open:
        since = f"since {gap.first.started_at[:10]}, {_gates(gap.gates)} (first {gap.first.id})"
        return one_line(f"{name} is {missing} {since}{why}; slips of it are not seen")
    return one_line(f"{name} was {missing} in {_gates(gap.gates)} from {gap.first.id} to {gap.last.id}{why}")


def _gates(count: int) -> str:
    return "1 gate" if count == 1 else f"{count} gates"
