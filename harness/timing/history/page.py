"""The history of gates: its table, its document, and as JSON."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

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
    Paragraph,
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
from harness.timing.gate.reasons import reasons_text
from harness.timing.gate.record import MetricResult
from harness.timing.gate.words import CHANGE_LEGEND, change, quality_word
from harness.timing.history.series import MetricHistory
from harness.timing.history.words import (
    HistoryFindings,
    changes,
    gap_sentence,
    has_chart,
    headline,
    in_order,
    left_out_sentence,
    marks_of,
    name_of,
    sentence,
    steps_of,
    time_text,
    total,
    total_text,
    values_text,
)


def series_table(series: Sequence[MetricHistory]) -> Table:
    """Return each series: its total change since the base, and the changes of level in between."""
    rows: list[Row] = [
        {
            "series": name_of(each),
            "in total": Cell(total_text(each), _tone(each)),
            "since": one_line(each.start),
            "last gate": time_text(each),
            "gates": str(len(each.points)),
            "changes": ",\n".join(changes(each)),
        }
        for each in series
    ]
    return table_of(rows, "Change of each series since its base", legend=(CHANGE_LEGEND,), form="steps")


def _tone(series: MetricHistory) -> Tone:
    if not steps_of(series):
        return "muted"
    return "bad" if total(series) > 0 else "good"


#: Charts on a page; series that changed come first.
_MOST_CHARTS = 60
_METHOD = """\
Each gate compared its head with its base on one machine within minutes, so its ratio depends on the code. \
The machine may differ from gate to gate.
The ratios of gates with one base and the same work are levels relative to that base. A change is a step \
that persists among them (PELT, 5 % chance of a false step).
Where the base or the work changes, the series goes on and the change is marked. If the new base was a head \
before, the levels are connected, and the total includes both; otherwise the total begins with the new base.
Times of base and head are medians of one gate, on the machine of that gate; those of two gates are not \
compared.
The commit shown is the first one measured at the new level. If not every commit was measured, an earlier \
one may be the cause.""".splitlines()


def history_document(findings: HistoryFindings) -> Document:
    """Return the changes and their places, gaps in the measurements, charts, and exclusions."""
    series = in_order(findings.history.series)
    changed = [each for each in series if steps_of(each)]
    same = [each for each in series if not steps_of(each)]
    gaps = [Item(f"{gap_sentence(gap)}.", tone="unsure") for gap in findings.gaps]
    left_out = [f"{left_out_sentence(each)}." for each in findings.history.left_out]
    more = sum(map(has_chart, series)) - _MOST_CHARTS
    hidden = f"{more} more series are not shown. `--benchmark` and `--metric` select fewer."
    charts: list[Node] = [Figures(partial(_figures, series)), Paragraph(hidden if more > 0 else "")]
    folded = Folded("Series without a change", [series_table(same)], "same", len(same))
    every = gates_table(findings)
    nodes: list[Node] = [
        Only(("terminal", "verbose"), [series_table(series)]),
        Only(("page", "markdown"), [Section("Changed", [series_table(changed)], "changed")]),
        Items(gaps, "Not measured", id="not-measured"),
        Only(("terminal",), [Section("Latest gates", [gates_table(findings, _LATEST)])]),
        Only(("verbose",), [Section("Gates", [every])]),
        Only(("page",), [Section("Series", charts)]),
        Only(("page", "markdown"), [folded, Folded("Gates", [every], "gates", len(every.rows))]),
        Only(("page",), [Section("Method", [Items(_METHOD)], "method")]),
        Items(left_out, "Left out"),
    ]
    cpus = "; ".join(sorted({gate.machine.cpu for gate in findings.gates}))
    return Document("history", "History of gates", nodes, [f"{headline(findings)}."], [cpus])


#: Gates that a terminal shows.
_LATEST = 10
#: Characters of a title that a terminal shows.
_TITLE_WIDTH = 32


def gates_table(findings: HistoryFindings, most: int | None = None) -> Table:
    """Return a row for each benchmark of each gate, the newest first: commit, changes, times and verdict."""
    marks: dict[tuple[str, str], dict[str, None]] = {}
    for series in findings.history.series:
        for point, mark in marks_of(series):
            marks.setdefault((point.gate, series.benchmark), {})[mark] = None
    every = [(gate, benchmark) for gate in findings.every or findings.gates for benchmark in gate.benchmarks]
    measured = dict.fromkeys(result.metric for _, benchmark in every for result in benchmark.metrics)
    rows: list[Row] = []
    for gate, benchmark in every[::-1][:most]:
        results = {result.metric: result for result in benchmark.metrics}
        known = findings.commits.get(gate.head.commit or "")
        quality = benchmark.quality
        notes = [*marks.get((gate.id, benchmark.name), ())]
        if quality is not None and quality.verdict != "PASS":
            notes.append(f"{'values' if quality.values else 'losses'}: {quality_word(benchmark)}")
        rows.append(
            {
                "date": gate.started_at[:10],
                "commit": Cell(_short(gate.head.commit), address=known.address if known else ""),
                "title": one_line(known.title)[: most and _TITLE_WIDTH] if known else None,
                "benchmark": one_line(benchmark.name),
                **{metric: _result_cell(results.get(metric)) for metric in measured},
                "verdict": Cell(benchmark.verdict, TONES[benchmark.verdict]),
                "notes": one_line(", ".join(notes)) or NOTHING,
            }
        )
    title = "Each gate: change of head relative to base, and the times of both"
    return table_of(rows, title, form="texts")


def _short(commit: str | None) -> str:
    return one_line(commit[:10]) if commit else NOTHING


def _result_cell(result: MetricResult | None) -> Cell | None:
    """Return ``+3.1 % (10.2 → 10.5 ms)``, without the interval."""
    if result is None or result.ratio is None:
        return None
    size = change(result.metric, msgspec.structs.replace(result.ratio, low=None, high=None))
    scale = metrics()[result.metric].scale
    values = values_text(result.metric, (scale * result.base, scale * result.shown_head))
    return Cell(f"{size} ({values})", TONES[result.verdict] if result.verdict != "PASS" else "")


def _figures(series: Sequence[MetricHistory]) -> list[Figure]:
    from harness.timing.history.charts import history_figures

    return history_figures(series)[:_MOST_CHARTS]


def history_json(findings: HistoryFindings) -> bytes:
    """Return every series with its gates, levels and steps; changes are ratios, above 1 is worse.

    The level of a gate is relative to its base.
    """
    document = {
        "gates": [gate.id for gate in findings.gates],
        "series": [_series(each, findings.commits) for each in in_order(findings.history.series)],
        "gaps": [
            {
                "benchmark": gap.benchmark,
                "metric": gap.metric,
                "first": gap.first.id,
                "last": gap.last.id,
                "gates": gap.gates,
                "open": gap.open,
                "reason": reasons_text(gap.reasons),
            }
            for gap in findings.gaps
        ],
        "left_out": list(map(left_out_sentence, findings.history.left_out)),
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def _series(series: MetricHistory, commits: Mapping[str, CommitText]) -> dict[str, object]:
    unit = metrics()[series.metric].unit
    points = []
    for stretch in series.stretches:
        for number, point in enumerate(stretch.points):
            known = commits.get(point.head or "")
            base, head = point.values
            points.append(
                {
                    "gate": point.gate,
                    "date": point.date,
                    "base": point.base,
                    "head": point.head,
                    "title": known.title if known else None,
                    "address": known.address if known else None,
                    "ratio": math.exp(point.ratio.log),
                    "pairs": point.ratio.pairs,
                    "level": math.exp(stretch.trend.levels[number]) if stretch.trend else None,
                    "base_value": base,
                    "head_value": head,
                    "unit": unit,
                    "verdict": point.verdict,
                    "change_before": stretch.mark if number == 0 else "",
                    "connected": stretch.origin is not None,
                }
            )
    return {
        "benchmark": series.benchmark,
        "metric": series.metric,
        "latest": series.latest,
        "sentence": sentence(series),
        "steps": [{"at": step.at, **_ratio(step.change)} for step in series.steps],
        "total": _ratio(series.total) if series.total else None,
        "points": points,
    }


def _ratio(ratio: Estimate) -> dict[str, float | None]:
    return {"ratio": ratio.value, "low": ratio.low, "high": ratio.high}
