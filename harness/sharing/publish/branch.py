"""The pages of a branch: its benchmarks, the changes of level in its gates, and the series of each metric."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.core.documents.document import (
    Cell,
    Command,
    Document,
    Figure,
    Figures,
    Items,
    Paragraph,
    Row,
    Section,
    Span,
    Table,
    Tone,
    table_of,
)
from harness.core.documents.escaping import one_line
from harness.core.documents.numbers import NOTHING, counted
from harness.core.stats.estimate import Estimate
from harness.sharing.publish.index import Entry
from harness.timing.environments.git import CommitText, commit_texts
from harness.timing.gate.metric_table import metrics
from harness.timing.gate.page import TONES
from harness.timing.gate.record import GATES, GateRecord
from harness.timing.gate.words import CHANGE_LEGEND, change
from harness.timing.history.charts import history_figures
from harness.timing.history.series import MetricHistory, Point, read_history
from harness.timing.history.words import (
    changes,
    in_order,
    left_out_sentence,
    name_of,
    total_text,
    values_text,
)

#: The newest gates of a branch of which the series are made.
MOST_GATES = 1000
#: Gates that the page of the branch lists.
_MOST_ROWS = 200
#: A level is back where it was if this share of the change, or less, is left.
_LEFT = 0.25
_DIGITS = 10
_TONES: Mapping[str, Tone] = {str(verdict): tone for verdict, tone in TONES.items()}


class LevelChange(NamedTuple):
    """A change of the level of a series at a commit, and what became of it."""

    series: MetricHistory
    address: str
    """Of the page of the series, from the top of the site."""
    point: Point
    before: Point | None
    """The gate before, at the old level."""
    size: Estimate
    fixed: Point | None
    """The first gate at which no more than a quarter of it was left; None if there is none."""

    @property
    def is_worse(self) -> bool:
        """Whether the metric became larger."""
        return self.size.value > 1

    @property
    def name(self) -> str:
        """The benchmark and the metric."""
        return one_line(f"{self.series.benchmark}, {self.series.metric}")


class Branch(NamedTuple):
    """The series of a branch, in order, with the addresses of their pages."""

    series: list[tuple[str, MetricHistory]]
    gates: list[GateRecord]
    commits: Mapping[str, CommitText]
    left_out: list[str]

    @property
    def changes(self) -> list[LevelChange]:
        """Every change of level, the newest first."""
        every = [each for address, series in self.series for each in _level_changes(address, series)]
        return sorted(every, key=lambda each: (each.point.date, each.point.gate), reverse=True)

    def commit(self, point: Point) -> Cell:
        """Return the commit of a gate, with the address of its page on the web."""
        known = self.commits.get(point.head or "")
        return Cell(one_line(point.name), address=known.address if known else "")

    def title(self, point: Point) -> str:
        """Return the title of the commit of a gate; empty where it is not known."""
        known = self.commits.get(point.head or "")
        return one_line(known.title) if known else ""


def read_branch(paths: Sequence[Path], repository: Path) -> Branch:
    """Read the newest of these gates, and the titles of their commits from a ``repository``, if it is one."""
    read = GATES.read_each(paths[-MOST_GATES:])
    gates = [gate for gate in read if isinstance(gate, GateRecord)]
    history = read_history(gates)
    sides = [side.commit for gate in gates for side in (gate.base, gate.head) if side.commit]
    ordered = in_order(history.series)
    addresses: dict[str, None] = {}
    for each in ordered:
        name = re.sub(r"[^A-Za-z0-9]+", "-", f"{each.benchmark}-{each.metric}").strip("-").lower() or "series"
        number = sum(address.startswith(f"branch/{name}.") for address in addresses)
        addresses[f"branch/{name}.html" if not number else f"branch/{name}.{number + 1}.html"] = None
    return Branch(
        list(zip(addresses, ordered, strict=True)),
        gates,
        commit_texts(repository, sides),
        [f"{left_out_sentence(each)}." for each in history.left_out],
    )


def _level_changes(address: str, series: MetricHistory) -> Iterator[LevelChange]:
    points, steps = series.points, series.steps
    logs = [math.log(step.change.value) for step in steps]
    for number, step in enumerate(steps):
        left, fixed = logs[number], None
        for later, log in zip(steps[number + 1 :], logs[number + 1 :], strict=True):
            left += log
            if left / logs[number] <= _LEFT:
                fixed = points[later.at]
                break
        before = points[step.at - 1] if step.at else None
        yield LevelChange(series, address, points[step.at], before, step.change, fixed)


def changes_table(branch: Branch, found: Sequence[LevelChange], top: str) -> Table:
    """Return a row for each change of level; ``top`` is the address of the top of the site."""
    rows: list[Row] = [
        {
            "series": Cell(each.name, address=f"{top}/{each.address}"),
            "change": Cell(change(each.series.metric, each.size), "bad" if each.is_worse else "good"),
            "since": each.point.date,
            "commit": branch.commit(each.point),
            "title": branch.title(each.point) or None,
            "gate": Cell("gate", address=f"{top}/records/{each.point.gate}.html"),
            "fixed": _fixed(branch, each),
        }
        for each in found
    ]
    return table_of(rows, "Changes of level, the newest first", legend=(CHANGE_LEGEND,), form="texts")


def _fixed(branch: Branch, each: LevelChange) -> Cell:
    """Say of a regression whether it is fixed, and by which commit."""
    if not each.is_worse:
        return Cell(NOTHING, "muted")
    if each.fixed is None:
        return Cell("not fixed", "bad")
    return Cell(f"since {each.fixed.date}, {branch.commit(each.fixed).text}", "good")


def bisect_command(each: LevelChange) -> str:
    """Return the command that finds the commit of a change; empty where the commits are not known."""
    good = each.before.head if each.before else each.point.base
    if not good or not each.point.head:
        return ""
    metric = "" if each.series.metric == "step" else f' --metric "{each.series.metric}"'
    sides = f"--good {good[:_DIGITS]} --bad {each.point.head[:_DIGITS]}"
    return f"harness bisect {sides} --benchmark {one_line(each.series.benchmark)}{metric}"


def branch_document(branch: Branch, entries: Sequence[Entry]) -> Document:
    """Return the grid of benchmarks and metrics, the changes of level, and the newest gates."""
    found = branch.changes
    worse = [each for each in found if each.is_worse and each.fixed is None]
    headline = (
        "No gates yet: make one with `harness gate`."
        if not branch.gates
        else (
            f"{len(worse)} of {len(found)} changes of level are regressions that are not fixed."
            if worse
            else f"No regression is open in {len(branch.series)} series."
        )
    )
    return Document(
        "branch",
        "Branch",
        [
            Section("Benchmarks", [_grid(branch)], "benchmarks"),
            Section("Changes of level", [changes_table(branch, found, ".")], "changes"),
            Section("Gates", [gates_table(entries[:_MOST_ROWS], ".")], "gates"),
            Items(branch.left_out, "Left out"),
        ],
        [headline],
        [counted(len(branch.gates), "gate")],
    )


def _grid(branch: Branch) -> Table:
    """Return a row for each benchmark, with the total change and a line for each metric."""
    measured = dict.fromkeys(series.metric for _, series in branch.series)
    rows: dict[str, dict[str, Cell | str | None]] = {}
    for address, series in branch.series:
        row = rows.setdefault(series.benchmark, {"benchmark": one_line(series.benchmark)})
        if row.get(series.metric) is None:  # the first in order is the current one
            row[series.metric] = Cell(
                total_text(series), _tone(series), address=f"./{address}", line=_levels(series)
            )
    every = [{"benchmark": row["benchmark"], **{m: row.get(m) for m in measured}} for row in rows.values()]
    return table_of(every, "Change of each metric over all gates", form="texts")


def _tone(series: MetricHistory) -> Tone:
    if series.total is None or not series.steps:
        return "muted"
    return "bad" if series.total.value > 1 else "good"


def _levels(series: MetricHistory) -> list[float]:
    """Return the logarithm of the level at each gate, or of its ratio where the noise is not known."""
    values = []
    for stretch in series.stretches:
        origin = stretch.origin[0] if stretch.origin else 0.0
        levels = stretch.trend.levels if stretch.trend else [point.ratio.log for point in stretch.points]
        values += [origin + float(level) for level in levels]
    return values


def gates_table(entries: Iterable[Entry], top: str) -> Table:
    """Return a row for each gate of the index, the newest first."""
    rows: list[Row] = [
        {
            "gate": Cell(each.time[:10] or each.name, address=f"{top}/{each.page}"),
            "verdict": Cell(each.verdict or each.status, _TONES.get(each.verdict, "")),
            "benchmarks": one_line(each.task) or NOTHING,
            "outcome": one_line(each.outcome) or NOTHING,
        }
        for each in entries
    ]
    return table_of(rows, form="texts")


def series_document(branch: Branch, address: str, series: MetricHistory) -> Document:
    """Return a series over commits: its chart, its changes, and every gate."""
    found = list(_level_changes(address, series))[::-1]
    commands = [
        Command(text, f"To find the commit of {change(each.series.metric, each.size)} at {each.point.name}:")
        for each in found
        if (text := bisect_command(each))
    ]
    unit = metrics()[series.metric].unit
    rows: list[Row] = [
        {
            "commit": branch.commit(point),
            "title": branch.title(point) or None,
            "date": Cell(point.date, address=f"../records/{point.gate}.html"),
            "change": change(
                series.metric, Estimate(math.exp(point.ratio.log), None, None, point.ratio.pairs)
            ),
            f"base → head ({unit})" if unit else "base → head": values_text(series.metric, point.values),
            "verdict": Cell(point.verdict, TONES[point.verdict]),
        }
        for point in series.points[::-1]
    ]
    return Document(
        "series",
        name_of(series),
        [
            Figures(lambda: _zoomed(series)),
            Section("Changes of level", [changes_table(branch, found, ".."), *commands], "changes"),
            Section("Gates", [table_of(rows, "Each gate, with a link to its page", form="texts")], "gates"),
            Paragraph((Span("All series of the branch", "link", target="../branch.html"),)),
        ],
        [f"{name_of(series)}: {', '.join(changes(series))}"],
        [f"{len(series.points)} gates since {one_line(series.start)}"],
    )


def _zoomed(series: MetricHistory) -> list[Figure]:
    """Draw a series in a chart whose changes can be zoomed with the wheel, and moved with the mouse."""
    zoom = {"name": "zoom", "select": {"type": "interval", "encodings": ["y"]}, "bind": "scales"}
    figures = []
    for figure in history_figures([series]):
        first, *others = figure.chart["layer"]
        layers = [{**first, "params": [zoom]}, *others]
        caption = f"{figure.caption} The wheel zooms, a drag moves, a double click shows all."
        figures.append(
            msgspec.structs.replace(
                figure, title="", caption=caption, chart={**figure.chart, "layer": layers}
            )
        )
    return figures
