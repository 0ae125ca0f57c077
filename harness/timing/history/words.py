"""A history in words: the number of series that changed, a sentence per series, and gaps."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.core.documents.escaping import one_line
from harness.core.documents.numbers import counted, significant
from harness.timing.environments.git import CommitText
from harness.timing.gate.metric_table import MetricName, metrics
from harness.timing.gate.reasons import reasons_text
from harness.timing.gate.record import GateRecord
from harness.timing.gate.words import change
from harness.timing.history.series import (
    AloneWithBase,
    DamagedPairs,
    Exclusion,
    Gap,
    History,
    MetricHistory,
    NoCommits,
    NotEnded,
    Point,
)


class HistoryFindings(NamedTuple):
    """The findings of a history; ``gates`` oldest first.

    ``commits`` are the titles and addresses of those of their commits that the repository knows.
    """

    history: History
    gaps: list[Gap]
    gates: Sequence[GateRecord]
    commits: Mapping[str, CommitText] = {}
    every: Sequence[GateRecord] = ()
    """All gates that were read, those that measured nothing included."""


def headline(findings: HistoryFindings) -> str:
    """Return ``3 of 12 series changed over 30 gates, 2026-01-01 to 2026-01-30``."""
    series = findings.history.series
    changed = sum(bool(steps_of(each)) for each in series)
    dates = [gate.started_at[:10] for gate in findings.gates]
    over = f"{counted(len(dates), 'gate')}, {' to '.join(dict.fromkeys((dates[0], dates[-1])))}"
    if series and all(len(each.points) == 1 for each in series):
        return f"Too few gates to find a change: {over}"
    if not changed:
        return f"No change in {len(series)} series over {over}"
    return f"{changed} of {len(series)} series changed over {over}"


def in_order(series: Sequence[MetricHistory]) -> list[MetricHistory]:
    """Sort series: changed series first, the largest regression at the top.

    Ended series come after current ones.
    """

    def place(each: MetricHistory) -> tuple[bool, bool, float]:
        changed = bool(steps_of(each))
        return not changed, not each.latest, -total(each) if changed else 0.0

    return sorted(series, key=place)


def total(series: MetricHistory) -> float:
    """Return the logarithm of the last level over the first; 0 where it is not known."""
    return math.log(series.total.value) if series.total else 0.0


def steps_of(series: MetricHistory) -> list[tuple[Point, str]]:
    """Return each change of level: the first gate with the new level, and the size of the change."""
    points = series.points
    return [(points[step.at], change(series.metric, step.change)) for step in series.steps]


def name_of(series: MetricHistory) -> str:
    """Return ``cnn, step``; with the last date where the series does not reach the newest gates."""
    name = one_line(f"{series.benchmark}, {series.metric}")
    return name if series.latest else f"{name}, until {series.points[-1].date}"


def total_text(series: MetricHistory) -> str:
    """Return ``+9.3 % [8.9, 9.8]``: the last level relative to the base."""
    return change(series.metric, series.total)


def time_text(series: MetricHistory) -> str:
    """Return ``10.2 → 10.8 ms``: base and head of the last gate."""
    return values_text(series.metric, series.points[-1].values)


def values_text(metric: MetricName, values: tuple[float, float]) -> str:
    """Return the values of base and head in one gate. Those of several gates are not compared."""
    base, head = map(significant, values)
    return f"{base} \N{RIGHTWARDS ARROW} {head} {metrics()[metric].unit}".rstrip()


def marks_of(series: MetricHistory) -> list[tuple[Point, str]]:
    """Return the first gate of each further stretch, and what changed before it."""
    return [
        (each.points[0], one_line(each.mark + (", not connected" if each.origin is None else "")))
        for each in series.stretches[1:]
    ]


def changes(series: MetricHistory) -> list[str]:
    """Return ``+3.1 % [2.4, 3.8] at commit abc (2026-01-05)`` for each change, else why there is none.

    Changes of the base or of the work stand among them.
    """
    if all(each.trend is None for each in series.stretches):
        return ["too few gates to estimate their noise"]
    if len(series.points) == 1:
        return ["only one gate so far"]
    points = series.points
    found = [(points[step.at], change(series.metric, step.change)) for step in series.steps]
    steps = [] if found else ["no change"]
    order = {id(point): number for number, point in enumerate(points)}
    for point, text in sorted([*marks_of(series), *found], key=lambda each: order[id(each[0])]):
        place = one_line(f"commit {point.name}" if point.head else f"gate {point.gate}")
        steps.append(f"{text} at {place} ({point.date})")
    return steps


def sentence(series: MetricHistory) -> str:
    """Return ``cnn, step: +3.1 % [2.4, 3.8] at commit abc (2026-01-05); in total +9.3 % [...] since ...``."""
    gates = counted(len(series.points), "gate")
    in_total = f"in total {total_text(series)} since {one_line(series.start)} ({gates})"
    return f"{name_of(series)}: {', '.join(changes(series))}; {in_total}"


def gap_sentence(gap: Gap) -> str:
    """Say what was not measured, when, and why; without a full stop."""
    name = gap.benchmark if gap.metric is None else f"{gap.benchmark}, {gap.metric}"
    reason = reasons_text(gap.reasons)
    not_asked = "not in the suite" if gap.metric is None else "not judged"
    missing = "not measured" if reason else not_asked
    because = f": {reason}" if reason else ""
    count = counted(gap.gates, "gate")
    if gap.open:
        since = f"since {gap.first.started_at[:10]}, {count} (first {gap.first.id})"
        return one_line(f"{name} is {missing} {since}{because}. Regressions go unnoticed")
    return one_line(f"{name} was {missing} in {count} from {gap.first.id} to {gap.last.id}{because}")


def left_out_sentence(exclusion: Exclusion) -> str:
    """Say which gates are in no series, and why; without a full stop."""
    match exclusion:
        case NotEnded(gate, status):
            text = f"{gate}: its status is {status}"
        case DamagedPairs(gate, message):
            text = f"{gate}: its pairs are damaged ({message})"
        case NoCommits(gates, ended):
            text = (
                f"no commits are recorded in {gates} of {ended} gates, because base or head was given as an "
                "interpreter or has uncommitted changes; if all have the same base, add --same-base"
            )
        case AloneWithBase(gates, ended):
            text = (
                f"{gates} of {ended} gates are in no series: gates with another base or other work were made "
                "both before and after them"
            )
    return one_line(text)


def has_chart(series: MetricHistory) -> bool:
    """Check that the series has more than one gate and known noise."""
    return len(series.points) > 1 and any(each.trend is not None for each in series.stretches)
