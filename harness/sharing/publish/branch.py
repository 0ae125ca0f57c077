"""The branch: the gates of a folder by benchmark and metric, and their level changes."""

import shlex
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from harness.core.documents.document import (
    Cell,
    Document,
    Figures,
    Item,
    Items,
    Node,
    Paragraph,
    Row,
    Section,
    Span,
    Text,
    Tone,
    table_of,
)
from harness.core.documents.escaping import one_line
from harness.core.documents.numbers import NOTHING
from harness.core.stats.estimate import Estimate
from harness.errors import UsageError
from harness.sharing.publish.layout import Layout, slug
from harness.timing.gate.metric_table import metrics
from harness.timing.gate.page import TONES
from harness.timing.gate.record import GateRecord
from harness.timing.gate.words import CHANGE_LEGEND, change, headline
from harness.timing.history.findings import HistoryFindings, find_history
from harness.timing.history.levels import DEVIATES
from harness.timing.history.page import series_figure
from harness.timing.history.series import MetricHistory
from harness.timing.history.words import gap_sentence, in_order, name_of, total_text, values_text

#: Level changes and failed gates on the start page.
_MOST_LATELY, _LAST_FAILURES = 12, 3
ADDRESS = "branch/index.html"


class LevelChange(NamedTuple):
    """A change of level: its series, the first gate at the new level, the commit before it, and its size."""

    series: MetricHistory
    point: Any
    good: str
    size: str
    worse: bool


class Branch(NamedTuple):
    """What the pages of a branch show; changes and the gates that failed, newest first."""

    findings: HistoryFindings | None
    changes: list[LevelChange]
    failed: list[GateRecord]
    repository: str
    why_none: str = ""


def read_branch(gates: Sequence[GateRecord], repository: str) -> Branch:
    """Find the level changes of the gates; commits are linked to ``repository``, an address on the web."""
    failed = sorted(
        (gate for gate in gates if gate.verdict == "FAIL"), key=lambda gate: gate.started_at, reverse=True
    )
    if not gates:
        return Branch(None, [], [], repository, "There are no gates in the folder yet.")
    try:
        findings = find_history(gates)
    except UsageError as error:
        return Branch(None, [], failed, repository, f"{error}.")
    found = [each for series in findings.series for each in _changes(series)]
    found.sort(key=lambda each: (each.point.date, each.point.gate), reverse=True)
    return Branch(findings, found, failed, repository)


def commit_address(repository: str, commit: str | None) -> str:
    """Return the address of a commit on the web; empty without a repository or a commit."""
    if not repository or not commit:
        return ""
    return f"{repository.rstrip('/')}/{'commits' if 'bitbucket' in repository else 'commit'}/{commit}"


def _changes(series: MetricHistory) -> Iterable[LevelChange]:
    points = series.points
    for at, size in series.changes.items():
        yield LevelChange(
            series, points[at], points[at - 1].head, change(series.metric, size), size.value > 1
        )


def series_address(series: MetricHistory) -> str:
    """Return the address of the page of a series."""
    return f"branch/{slug(f'{series.benchmark}-{series.metric}')}.html"


def change_text(found: LevelChange, branch: Branch) -> Text:
    """Return ``train, step: +12.1 % [11.2, 13.0] since commit 1a2b3c (2026-01-05)``, with links.

    The series is linked to its page, and the commit to the repository.
    """
    address = commit_address(branch.repository, found.point.head)
    commit = Span(found.point.commit, "link", target=address) if address else found.point.commit
    series = Span(name_of(found.series), "link", target=series_address(found.series))
    return (series, f": {found.size} since commit ", commit, f" ({found.point.date})")


def _items(changes: Iterable[LevelChange], branch: Branch) -> list[Item]:
    return [
        Item(change_text(each, branch), command=bisect_command(each), tone="bad" if each.worse else "good")
        for each in changes
    ]


def _failures(branch: Branch) -> list[Item]:
    return [
        Item(
            (
                f"{gate.started_at[:10]}: ",
                Span(gate.id, "link", target=f"gates/{gate.id}.html"),
                f": FAIL: {headline(gate)}",
            ),
            tone="bad",
        )
        for gate in branch.failed
    ]


def lately(branch: Branch) -> list[Item]:
    """Return the last level changes and failed gates, for the start page."""
    return [*_items(branch.changes[:_MOST_LATELY], branch), *_failures(branch)[:_LAST_FAILURES]]


def branch_pages(branch: Branch, layout: Layout) -> dict[str, str]:
    """Return the pages of the branch: its changes, and each series."""
    nodes: list[Node] = [
        Paragraph(branch.why_none),
        Items(_items(branch.changes, branch), "Level changes", id="changes"),
        Items(_failures(branch), "Failed gates", id="failed"),
    ]
    files: dict[str, str] = {}
    if branch.findings is not None:
        nodes += [
            _benchmarks(branch.findings),
            Items([f"{gap_sentence(gap)}." for gap in branch.findings.gaps], "Not measured"),
            Items([f"{each}." for each in branch.findings.left_out], "Left out"),
        ]
        for series in in_order(branch.findings.series):
            address = series_address(series)
            files[address] = layout.page(address, _series_document(series, branch))
    return {ADDRESS: layout.page(ADDRESS, Document("branch", "Branch", nodes)), **files}


def _benchmarks(findings: HistoryFindings) -> Node:
    """Return the table of benchmarks and metrics: the change since the first base, linked to the series."""
    cells: dict[str, dict[str, MetricHistory]] = {}
    for series in findings.series:
        cells.setdefault(series.benchmark, {})[series.metric] = series
    used = [metric for metric in metrics() if any(metric in row for row in cells.values())]
    rows: list[Row] = [
        {
            "benchmark": one_line(name),
            **{metric: _total_cell(row[metric]) if metric in row else NOTHING for metric in used},
        }
        for name, row in cells.items()
    ]
    return Section("Benchmarks", [table_of(rows, "Change since the first base")], "benchmarks")


def _total_cell(series: MetricHistory) -> Cell:
    total = series.total.value if series.changes else 1.0
    tone: Tone = "bad" if total > 1 else "good" if total < 1 else "muted"
    return Cell(total_text(series), tone, address=series_address(series))


def bisect_command(found: LevelChange) -> str:
    """Return the command that finds the commit behind a level change; empty if its ends are unknown."""
    if not found.good or not found.point.head or found.good == found.point.head:
        return ""
    words = ["harness", "bisect", "--good", found.good[:12], "--bad", found.point.head[:12]]
    words += ["--benchmark", found.series.benchmark]
    words += ["--metric", found.series.metric] if found.series.metric != "step" else []
    return shlex.join(one_line(word) for word in words)


def _series_document(series: MetricHistory, branch: Branch) -> Document:
    items = _items((each for each in branch.changes if each.series is series), branch)
    figure = series_figure(series, "series-1")
    nodes: list[Node] = [
        Section("Level changes", [Items(items) if items else Paragraph("No change of level.")]),
        Section("Series", [Figures(lambda: [figure])], "series"),
        _gates_table(series, branch),
    ]
    title = f"{series.benchmark}, {series.metric}"
    return Document("series", title, nodes, [f"{title}: {total_text(series)} since {one_line(series.start)}"])


def _gates_table(series: MetricHistory, branch: Branch) -> Node:
    rows: list[Row] = []
    for number, point in enumerate(series.points):
        level = series.changes.get(number)
        half = DEVIATES * point.noise
        size = Estimate(point.log, point.log - half, point.log + half, point.pairs).exp()
        rows.append(
            {
                "gate": Cell(point.gate, address=f"gates/{point.gate}.html"),
                "date": point.date,
                "commit": Cell(point.commit, address=commit_address(branch.repository, point.head)),
                "change": change(series.metric, size),
                "base → head": values_text(series.metric, point.base_value, point.head_value),
                "verdict": Cell(point.verdict, TONES[point.verdict]),
                "level": change(series.metric, level) if level else "",
            }
        )
    table = table_of(
        rows[::-1], "Each gate: head relative to its base", legend=(CHANGE_LEGEND,), form="texts"
    )
    return Section("Gates", [table])
