"""The history of gates: its table, its charts, its document, and as JSON."""

import math
from collections.abc import Mapping, Sequence

import msgspec

from harness.core.documents.charts import GREY, Spec, field, layer, layered, tips, zero_line
from harness.core.documents.charts import Row as ChartRow
from harness.core.documents.document import (
    Cell,
    Document,
    Figure,
    Figures,
    Folded,
    Item,
    Items,
    Node,
    Only,
    Row,
    Section,
    Table,
    Tone,
    table_of,
)
from harness.core.documents.escaping import one_line
from harness.core.documents.numbers import NOTHING
from harness.core.stats.estimate import Estimate
from harness.timing.environments.git import CommitText
from harness.timing.gate.metric_table import metrics
from harness.timing.gate.page import TONES
from harness.timing.gate.record import MetricResult
from harness.timing.gate.words import CHANGE_LEGEND, change, quality_word
from harness.timing.history.findings import HistoryFindings
from harness.timing.history.frame import DIGITS
from harness.timing.history.levels import DEVIATES
from harness.timing.history.series import MetricHistory
from harness.timing.history.words import (
    changes,
    gap_sentence,
    headline,
    in_order,
    name_of,
    sentence,
    total_text,
    values_text,
)

_METHOD = """\
Each gate compared its head with its base on one machine within minutes, so its ratio depends on the code.
A change is a step that persists among gates with one base and the same work (PELT, 5 % chance of a false \
step).
Where the base or the work changes, the series goes on and the change is marked. If the new base was a head \
before, the total includes both levels; otherwise it begins with the new base.
The commit shown is the first one measured at the new level. If not every commit was measured, an earlier \
one may be the cause.""".splitlines()
#: Gates that a terminal shows, and the characters of their titles.
_LATEST, _TITLE_WIDTH = 10, 32


def history_document(findings: HistoryFindings) -> Document:
    """Return the changes and their places, gaps in the measurements, charts, and exclusions."""
    series = in_order(findings.series)
    figures = [
        series_figure(each, f"series-{number}") for number, each in enumerate(series, 1) if each.changes
    ]
    gaps = [Item(f"{gap_sentence(gap)}.", tone="unsure") for gap in findings.gaps]
    every = _gates_table(findings)
    nodes: list[Node] = [
        Section("Changes", [_series_table(series)], "changes"),
        Items(gaps, "Not measured", id="not-measured"),
        Only(("terminal",), [Section("Latest gates", [_gates_table(findings, _LATEST)])]),
        Only(("page",), [Section("Series", [Figures(lambda: figures)])]),
        Only(("page", "markdown"), [Folded("Gates", [every], "gates", len(every.rows))]),
        Only(("page",), [Section("Method", [Items(_METHOD)], "method")]),
        Items([f"{each}." for each in findings.left_out], "Left out"),
    ]
    cpus = "; ".join(sorted({gate.machine.cpu for gate in findings.gates}))
    return Document("history", "History of gates", nodes, [f"{headline(findings)}."], [cpus])


def _series_table(series: Sequence[MetricHistory]) -> Table:
    rows: list[Row] = []
    for each in series:
        last = each.points[-1]
        tone: Tone = "muted" if not each.changes else "bad" if each.total.value > 1 else "good"
        rows.append(
            {
                "series": name_of(each),
                "in total": Cell(total_text(each), tone),
                "since": one_line(each.start),
                "last gate": values_text(each.metric, last.base_value, last.head_value),
                "gates": str(len(each.rows)),
                "changes": ",\n".join(changes(each)),
            }
        )
    return table_of(rows, "Change of each series since its base", legend=(CHANGE_LEGEND,), form="steps")


def _gates_table(findings: HistoryFindings, most: int | None = None) -> Table:
    """Return a row for each benchmark of each gate, the newest first: commit, changes, times and verdict."""
    marks: dict[tuple[str, str], dict[str, None]] = {}
    for series in findings.series:
        for point in series.points:
            if point.mark:
                marks.setdefault((point.gate, series.benchmark), {})[point.mark] = None
    every = [(gate, benchmark) for gate in findings.gates for benchmark in gate.benchmarks]
    measured = dict.fromkeys(result.metric for _, benchmark in every for result in benchmark.metrics)
    rows: list[Row] = []
    for gate, benchmark in every[::-1][:most]:
        results = {result.metric: result for result in benchmark.metrics}
        head = gate.head.commit or ""
        known = findings.commits.get(head)
        quality = benchmark.quality
        notes = [*marks.get((gate.id, benchmark.name), ())]
        if quality is not None and quality.verdict != "PASS":
            notes.append(f"{'values' if quality.values else 'losses'}: {quality_word(benchmark)}")
        rows.append(
            {
                "date": gate.started_at[:10],
                "commit": Cell(one_line(head[:DIGITS]) or NOTHING, address=known.address if known else ""),
                "title": one_line(known.title)[: most and _TITLE_WIDTH] if known else None,
                "benchmark": one_line(benchmark.name),
                **{metric: _result_cell(results.get(metric)) for metric in measured},
                "verdict": Cell(benchmark.verdict, TONES[benchmark.verdict]),
                "notes": one_line(", ".join(notes)) or NOTHING,
            }
        )
    title = "Each gate: change of head relative to base, and the times of both"
    return table_of(rows, title, form="texts")


def _result_cell(result: MetricResult | None) -> Cell | None:
    """Return ``+3.1 % (10.2 → 10.5 ms)``, without the interval."""
    if result is None or result.ratio is None:
        return None
    size = change(result.metric, msgspec.structs.replace(result.ratio, low=None, high=None))
    scale = metrics()[result.metric].scale
    values = values_text(result.metric, scale * result.base, scale * result.shown_head)
    return Cell(f"{size} ({values})", TONES[result.verdict] if result.verdict != "PASS" else "")


def series_figure(series: MetricHistory, name: str) -> Figure:
    """Draw the gates of a series, the level, and the size of each change."""
    rows = _chart_rows(series)
    x = field(
        "name:N",
        title=None,
        sort=[row["name"] for row in rows],
        axis={"labelAngle": -40, "labelLimit": 80, "labelOverlap": True, "grid": False},
    )
    y = field("change:Q", title="change since the base (%)", scale={"zero": False})
    low, level = field("low:Q", title=""), field("level:Q", title="")
    tip = tips(
        "name:N", "date:N", "change:Q", "low:Q", "high:Q", "level:Q", "values:N", "verdict:N", "mark:N"
    )
    layers: list[Spec] = [
        zero_line("y"),
        layer("rule", {"color": GREY, "opacity": 0.6}, x=x, y=low, y2="high"),
        layer("circle", {"color": GREY, "opacity": 0.9, "size": 32}, x=x, y=y, tooltip=tip),
    ]
    if breaks := [row for row in rows if row["mark"]]:
        layers.append(layer("rule", {"color": GREY, "strokeDash": [4, 3]}, rows=breaks, x=x, tooltip=tip))
    line = {"interpolate": "step", "strokeWidth": 2.5, "color": "#0072b2"}
    layers.append(layer("line", line, x=x, y=level, detail=field("part:N")))
    if steps := [row for row in rows if row["size"]]:
        layers.append(layer("text", {"dy": -14, "fontSize": 12}, rows=steps, x=x, y=level, text="size:N"))
    caption = (
        f"Change since {one_line(series.start)}, or the first base of each part: each gate with its 95 % "
        "interval, and the level (line). A dashed line is a change of the base or of the work."
    )
    return Figure(name, caption, layered(rows, *layers), name_of(series))


def _chart_rows(series: MetricHistory) -> list[ChartRow]:
    """Return a row for each gate, whose level is relative to the first base that it is connected to."""
    rows: list[ChartRow] = []
    repeats = series.rows.groupby("commit").cumcount()
    for number, (point, repeat) in enumerate(zip(series.points, repeats, strict=True)):
        log, half = point.origin + point.log, DEVIATES * point.noise
        size = series.changes.get(number)
        short = size and change(series.metric, msgspec.structs.replace(size, low=None, high=None))
        rows.append(
            {
                "name": point.commit + (f" ({repeat + 1})" if repeat else ""),
                "date": point.date,
                "change": _percent_of_log(log),
                "low": _percent_of_log(log - half),
                "high": _percent_of_log(log + half),
                "level": _percent_of_log(point.origin + point.level),
                "values": values_text(series.metric, point.base_value, point.head_value),
                "verdict": point.verdict,
                "part": point.part,
                "mark": point.mark,
                "size": short or "",
            }
        )
    return rows


def _percent_of_log(log: float) -> float:
    return round(100 * math.expm1(log), 4)


def history_json(findings: HistoryFindings) -> bytes:
    """Return every series with its gates, levels and steps; changes are ratios, above 1 is worse.

    The level of a gate is relative to its base.
    """
    document = {
        "gates": sorted({point.gate for series in findings.series for point in series.points}),
        "series": [_series_json(each, findings.commits) for each in in_order(findings.series)],
        "gaps": [gap._asdict() for gap in findings.gaps],
        "left_out": findings.left_out,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def _series_json(series: MetricHistory, commits: Mapping[str, CommitText]) -> dict[str, object]:
    points = []
    for point in series.points:
        known = commits.get(point.head)
        points.append(
            {
                "gate": point.gate,
                "date": point.date,
                "base": point.base or None,
                "head": point.head or None,
                "title": known.title if known else None,
                "address": known.address if known else None,
                "ratio": math.exp(point.log),
                "pairs": point.pairs,
                "level": math.exp(point.level),
                "base_value": point.base_value,
                "head_value": point.head_value,
                "unit": metrics()[series.metric].unit,
                "verdict": point.verdict,
                "change_before": point.mark,
            }
        )
    return {
        "benchmark": series.benchmark,
        "metric": series.metric,
        "latest": series.latest,
        "sentence": sentence(series),
        "steps": [{"at": at, **_ratio(size)} for at, size in series.changes.items()],
        "total": _ratio(series.total),
        "points": points,
    }


def _ratio(ratio: Estimate) -> dict[str, float | None]:
    return {"ratio": ratio.value, "low": ratio.low, "high": ratio.high}
