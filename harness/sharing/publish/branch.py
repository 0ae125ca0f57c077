"""The branch: the gates of a folder as a grid, a page for each series, level changes, and an Atom feed."""

import datetime
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

from markupsafe import Markup

from harness.core.documents.document import (
    Cell,
    Command,
    Document,
    Figures,
    Folded,
    Item,
    Items,
    Node,
    Only,
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
from harness.timing.environments.git import CommitText
from harness.timing.gate.metric_table import metrics
from harness.timing.gate.page import TONES
from harness.timing.gate.record import GateRecord
from harness.timing.gate.words import CHANGE_LEGEND, change, headline
from harness.timing.history.charts import history_figures
from harness.timing.history.findings import find_history
from harness.timing.history.page import history_document
from harness.timing.history.series import MetricHistory, Point
from harness.timing.history.words import HistoryFindings, in_order, name_of, steps_of, total_text, values_text

_DIGITS = 10
#: A level has returned if it is this close to the earlier one, as a share of the size of the step.
_RETURNED = 0.25
#: Level changes and failed gates on the start page.
_MOST_LATELY, _LAST_FAILURES = 12, 3
ADDRESS = "branch/index.html"


class LevelChange(NamedTuple):
    """A change of level: its series, the first gate at the new level, the last at the old one, and after.

    ``later`` is the first gate at which the level has returned; None: it has not.
    """

    series: MetricHistory
    point: Point
    good: str
    size: str
    worse: bool
    later: Point | None

    @property
    def state(self) -> str:
        """Whether a regression is fixed: ``fixed by 1a2b3c (2026-01-05)``, or that it is not."""
        if not self.worse:
            return ""
        if self.later is None:
            return "not fixed"
        return f"fixed by {self.later.name} ({self.later.date})"


class Branch(NamedTuple):
    """What the pages of a branch show; ``failed`` are the gates that failed, newest first."""

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
    if repository:
        findings = findings._replace(commits=_with_addresses(findings, gates, repository))
    found = [each for series in findings.history.series for each in _changes(series)]
    found.sort(key=lambda each: (each.point.date, each.point.gate), reverse=True)
    return Branch(findings, found, failed, repository)


def _with_addresses(
    findings: HistoryFindings, gates: Iterable[GateRecord], repository: str
) -> Mapping[str, CommitText]:
    commits = {side.commit for gate in gates for side in (gate.base, gate.head) if side.commit}
    known = {commit: findings.commits.get(commit, CommitText("")) for commit in commits}
    return {
        commit: text._replace(address=commit_address(repository, commit)) for commit, text in known.items()
    }


def commit_address(repository: str, commit: str | None) -> str:
    """Return the address of a commit on the web; empty without a repository or a commit."""
    if not repository or not commit:
        return ""
    return f"{repository.rstrip('/')}/{'commits' if 'bitbucket' in repository else 'commit'}/{commit}"


def _levels(series: MetricHistory) -> list[tuple[int, float] | None]:
    """Return the log level at each gate, with the number of its connected part; None without a trend."""
    levels: list[tuple[int, float] | None] = []
    part = 0
    for stretch in series.stretches:
        part += stretch.origin is None
        origin = stretch.origin[0] if stretch.origin else 0.0
        for place in range(len(stretch.points)):
            level = None if stretch.trend is None else (part, origin + float(stretch.trend.levels[place]))
            levels.append(level)
    return levels


def _changes(series: MetricHistory) -> Iterable[LevelChange]:
    points, levels = series.points, _levels(series)
    for step, (point, size) in zip(series.steps, steps_of(series), strict=True):
        own, log = levels[step.at], step.change
        before = None if own is None else own[1] - math.log(log.value)
        later = None
        if own is not None and before is not None:
            limit = before + _RETURNED * (own[1] - before)
            later = next(
                (
                    points[place]
                    for place in range(step.at + 1, len(points))
                    if (level := levels[place]) and level[0] == own[0] and level[1] <= limit
                ),
                None,
            )
        good = points[step.at - 1].head if step.at else point.base
        yield LevelChange(series, point, good or "", size, log.value > 1, later)


def series_address(series: MetricHistory) -> str:
    """Return the address of the page of a series."""
    return f"branch/{slug(f'{series.benchmark}-{series.metric}')}.html"


def change_text(found: LevelChange, branch: Branch, *, named: bool = True) -> Text:
    """Return ``train, step: +12.1 % [11.2, 13.0] since commit 1a2b3c (2026-01-05), not fixed``, with links.

    The series is linked to its page, and the commit to the repository.
    """
    address = commit_address(branch.repository, found.point.head)
    commit = Span(found.point.name, "link", target=address) if address else found.point.name
    state = f"; {found.state}" if found.state else ""
    said = (f"{found.size} since commit ", commit, f" ({found.point.date}){state}")
    if not named:
        return said
    return (Span(name_of(found.series), "link", target=series_address(found.series)), ": ", *said)


def _level_changes(branch: Branch) -> list[Item]:
    """Return the level changes: those that are not fixed first, then the newest."""
    ordered = sorted(branch.changes, key=lambda each: not (each.worse and each.later is None))
    return [Item(change_text(each, branch), tone=_tone(each)) for each in ordered]


def _failures(branch: Branch) -> list[Item]:
    """Return the failed gates, the newest first."""
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
    """Return the first level changes and the last failed gates, for the start page."""
    return [*_level_changes(branch)[:_MOST_LATELY], *_failures(branch)[:_LAST_FAILURES]]


def _tone(found: LevelChange) -> Tone:
    if not found.worse:
        return "good"
    return "bad" if found.later is None else "muted"


def branch_pages(branch: Branch, layout: Layout) -> dict[str, str]:
    """Return the files of the branch: the grid, a page for each series, and the feed."""
    if branch.findings is None:
        document = Document("branch", "Branch", [Paragraph(branch.why_none), *_failed(branch)])
        return {**layout.page(ADDRESS, document), "feed.xml": feed(branch, layout.site)}
    history = history_document(branch.findings)
    kept = [node for node in history.nodes if not _is_replaced(node)]
    nodes = [
        Section("Level changes", [Items(_level_changes(branch))], "changes") if branch.changes else Items([]),
        *_failed(branch),
        *kept,
    ]
    document = Document("branch", "Branch", nodes, history.headline, history.meta, contents=True)
    files = layout.page(ADDRESS, document, lead=_grid(branch.findings))
    by_page: dict[str, list[MetricHistory]] = {}
    for series in in_order(branch.findings.history.series):
        by_page.setdefault(series_address(series), []).append(series)
    for address, of_page in by_page.items():
        files |= _series_page(address, of_page, branch, layout)
    return {**files, "feed.xml": feed(branch, layout.site)}


def _is_replaced(node: Node) -> bool:
    """Check for the charts of all series, which have pages of their own here."""
    return (
        isinstance(node, Only)
        and not callable(node.nodes)
        and any(isinstance(each, Section) and each.title == "Series" for each in node.nodes)
    )


def _failed(branch: Branch) -> list[Node]:
    items = _failures(branch)
    return [Section("Failed gates", [Items(items)], "failed")] if items else []


def _grid(findings: HistoryFindings) -> Markup:
    """Return the table of benchmarks and metrics, each cell with a sparkline of the level."""
    cells: dict[tuple[str, str], MetricHistory] = {}
    for series in findings.history.series:
        if series.latest or (series.benchmark, series.metric) not in cells:
            cells[series.benchmark, series.metric] = series
    names = dict.fromkeys(benchmark for benchmark, _ in cells)
    used = [metric for metric in metrics() if any(own == metric for _, own in cells)]
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(metric) for metric in used)
    rows = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            one_line(name),
            Markup("").join(_grid_cell(cells.get((name, metric))) for metric in used),
        )
        for name in names
    )
    return Markup(
        '<section id="grid"><h2>Benchmarks</h2><div class="scroll" tabindex="0" role="region" '
        'aria-label="Benchmarks and metrics"><table class="grid"><caption>Change since the first base, with '
        'a line of all gates</caption><thead><tr><th scope="col">benchmark</th>{}</tr></thead>'
        "<tbody>{}</tbody></table></div></section>"
    ).format(head, rows)


def _grid_cell(series: MetricHistory | None) -> Markup:
    if series is None:
        return Markup("<td>{}</td>").format(NOTHING)
    total = series.total.value if series.total and steps_of(series) else 1.0
    tone = "bad" if total > 1 else "good" if total < 1 else "muted"
    address = series_address(series).removeprefix("branch/")
    return Markup('<td><a href="{}">{}<span class="tone-{}">{}</span></a></td>').format(
        address, _sparkline(series), tone, total_text(series)
    )


_WIDTH, _HEIGHT, _MARGIN = 130, 30, 4


def _sparkline(series: MetricHistory) -> Markup:
    """Draw the ratio of each gate as a line, with a dot at each change of level."""
    logs = [point.ratio.log for point in series.points]
    low = min(logs)
    high = max(*logs, low + 0.01)
    across = max(1, len(logs) - 1)
    places = [
        (
            _MARGIN + place * (_WIDTH - 2 * _MARGIN) / across,
            _HEIGHT - _MARGIN - (log - low) / (high - low) * (_HEIGHT - 2 * _MARGIN),
        )
        for place, log in enumerate(logs)
    ]
    line = " ".join(f"{'L' if at else 'M'}{x:.1f} {y:.1f}" for at, (x, y) in enumerate(places))
    dots = Markup("").join(
        Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3"{}/>').format(
            *places[step.at], Markup(' class="better"') if step.change.value < 1 else ""
        )
        for step in series.steps
    )
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" aria-hidden="true" focusable="false"><path d="{}"/>{}</svg>'
    ).format(_WIDTH, _HEIGHT, line, dots)


def bisect_command(found: LevelChange, gate: GateRecord | None) -> str:
    """Return the command that finds the commit behind a level change; empty if its ends are unknown."""
    if not found.good or not found.point.head or found.good == found.point.head:
        return ""
    words = ["harness", "bisect", "--good", found.good[:12], "--bad", found.point.head[:12]]
    words += ["--benchmark", found.series.benchmark]
    words += ["--metric", found.series.metric] if found.series.metric != "step" else []
    words += ["--suite", gate.suite] if gate is not None and gate.suite != "gate.toml" else []
    return shlex.join(one_line(word) for word in words)


def _series_page(
    address: str, every: Sequence[MetricHistory], branch: Branch, layout: Layout
) -> dict[str, str]:
    gates = {gate.id: gate for gate in branch.findings.every} if branch.findings else {}
    nodes: list[Node] = []
    zoom = Markup("")
    figures = history_figures(every, lambda gate: f"../gates/{gate}.html")
    for number, series in enumerate(every, 1):
        found = [each for each in branch.changes if each.series is series]
        changes: list[Node] = []
        for each in sorted(found, key=lambda each: each.point.gate):
            title = commit_title(branch, each.point.head)
            said = (*change_text(each, branch, named=False), title)
            changes.append(Items([Item(said, tone=_tone(each))]))
            changes.append(Command(bisect_command(each, gates.get(each.point.gate)), "To find the commit:"))
        if not found:
            changes.append(Paragraph("No change of level."))
        nodes.append(
            Section("Level changes" if number == 1 else f"Level changes: {name_of(series)}", changes)
        )
    if figures:
        nodes.append(Section("Series", [Figures(lambda: figures)], "series"))
        zoom = Markup("").join(_zoom(figure.name) for figure in figures)
    nodes += [_gates_table(series, branch) for series in every]
    first = every[0]
    head = [f"{first.benchmark}, {first.metric}: {total_text(first)} since {one_line(first.start)}"]
    document = Document("series", f"{first.benchmark}, {first.metric}", nodes, head)
    return layout.page(address, document, lead=zoom)


def commit_title(branch: Branch, commit: str | None) -> str:
    """Return ``: title`` of a commit that the repository of this folder knows; empty otherwise."""
    known = branch.findings.commits.get(commit or "") if branch.findings else None
    return f": {one_line(known.title)}" if known and known.title else ""


_ZOOMS = {"all gates": 100_000, "last 100": 100, "last 30": 30, "last 10": 10}


def _zoom(chart: str) -> Markup:
    buttons = Markup("").join(
        Markup('<button type="button" value="{}" aria-pressed="{}">{}</button>').format(
            count, "true" if place == 0 else "false", text
        )
        for place, (text, count) in enumerate(_ZOOMS.items())
    )
    return Markup('<div class="zoom" role="group" aria-label="Zoom" data-chart="{}">{}</div>').format(
        chart, buttons
    )


def _gates_table(series: MetricHistory, branch: Branch) -> Node:
    rows: list[Row] = []
    steps = {id(point): size for point, size in steps_of(series)}
    for stretch in series.stretches:
        for place, point in enumerate(stretch.points):
            half = None if stretch.trend is None else 1.959964 * float(stretch.trend.noise[place])
            rows.append(
                {
                    "gate": Cell(point.gate, address=f"gates/{point.gate}.html"),
                    "date": point.date,
                    "commit": Cell(point.name, address=commit_address(branch.repository, point.head)),
                    "change": change(series.metric, _estimate(point.ratio.log, half, point.ratio.pairs)),
                    "base → head": values_text(series.metric, point.values),
                    "verdict": Cell(point.verdict, TONES[point.verdict]),
                    "level": steps.get(id(point), ""),
                }
            )
    table = table_of(
        rows[::-1], "Each gate: head relative to its base", legend=(CHANGE_LEGEND,), form="texts"
    )
    return Section(f"Gates: {name_of(series)}", [table]) if table.rows else Folded("Gates", [table])


def _estimate(log: float, half: float | None, n: int) -> Estimate:
    low, high = (None, None) if half is None else (log - half, log + half)
    return Estimate(log, low, high, n).exp()


_ATOM = "http://www.w3.org/2005/Atom"


def feed(branch: Branch, site: str) -> str:
    """Return the Atom feed (RFC 4287) of level changes and failed gates, the newest first."""
    entries = [
        (
            each.point.gate,
            _time(branch, each.point.gate, each.point.date),
            _said(each),
            series_address(each.series),
            f"{each.series.benchmark}:{each.series.metric}",
        )
        for each in branch.changes
    ]
    entries += [
        (gate.id, gate.started_at, f"Gate failed: {headline(gate)}", f"gates/{gate.id}.html", "gate")
        for gate in branch.failed
    ]
    entries.sort(key=lambda entry: (entry[1], entry[0]), reverse=True)
    ElementTree.register_namespace("", _ATOM)
    root = ElementTree.Element(f"{{{_ATOM}}}feed")
    updated = max((_rfc3339(entry[1]) for entry in entries), default="1970-01-01T00:00:00+00:00")
    _texts(root, id="tag:dl-harness,2026:branch", title=f"{site}: changes", updated=updated)
    ElementTree.SubElement(root, f"{{{_ATOM}}}link", rel="alternate", href="index.html")
    ElementTree.SubElement(root, f"{{{_ATOM}}}link", rel="self", href="feed.xml")
    _texts(ElementTree.SubElement(root, f"{{{_ATOM}}}author"), name="dl-harness")
    for gate, time, title, address, what in entries[:100]:
        entry = ElementTree.SubElement(root, f"{{{_ATOM}}}entry")
        own = f"tag:dl-harness,2026:{gate}:{slug(what)}"
        _texts(entry, id=own, title=one_line(title), updated=_rfc3339(time))
        ElementTree.SubElement(entry, f"{{{_ATOM}}}link", href=address)
    return ElementTree.tostring(root, "unicode", xml_declaration=True)


def _said(found: LevelChange) -> str:
    state = f"; {found.state}" if found.state else ""
    return f"{name_of(found.series)}: {found.size} since commit {found.point.name}{state}"


def _time(branch: Branch, gate: str, day: str) -> str:
    every = branch.findings.every if branch.findings else ()
    return next((each.started_at for each in every if each.id == gate), day)


def _rfc3339(text: str) -> str:
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError:
        time = datetime.datetime.fromtimestamp(0, datetime.UTC)
    return (time if time.tzinfo else time.replace(tzinfo=datetime.UTC)).isoformat()


def _texts(parent: ElementTree.Element, **texts: str) -> None:
    for name, text in texts.items():
        ElementTree.SubElement(parent, f"{{{_ATOM}}}{name}").text = text
