"""The history of gates: its table, its document, and as JSON."""

import math
from collections.abc import Sequence
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
from harness.core.stats.estimate import Estimate
from harness.timing.gate.reasons import reasons_text
from harness.timing.gate.words import CHANGE_LEGEND
from harness.timing.history.series import MetricHistory
from harness.timing.history.words import (
    HistoryFindings,
    changes,
    gap_sentence,
    has_chart,
    headline,
    in_order,
    left_out_sentence,
    name_of,
    sentence,
    steps_of,
    total,
    total_text,
)


def series_table(series: Sequence[MetricHistory]) -> Table:
    """Return each series: its total change since the base, and the changes of level in between."""
    rows: list[Row] = [
        {
            "series": name_of(each),
            "in total": Cell(total_text(each), _tone(each)),
            "since": one_line(each.start),
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
The gates of one base form a series; their ratios are levels relative to that base. A change is a step that \
persists (PELT, 5 % chance of a false step over the series).
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
    nodes: list[Node] = [
        Only(("terminal", "verbose"), [series_table(series)]),
        Only(("page", "markdown"), [Section("Changed", [series_table(changed)], "changed")]),
        Items(gaps, "Not measured", id="not-measured"),
        Only(("page",), [Section("Series", charts)]),
        Only(("page", "markdown"), [folded]),
        Only(("page",), [Section("Method", [Items(_METHOD)], "method")]),
        Items(left_out, "Left out"),
    ]
    cpus = "; ".join(sorted({gate.machine.cpu for gate in findings.gates}))
    return Document("history", "History of gates", nodes, [f"{headline(findings)}."], [cpus])


def _figures(series: Sequence[MetricHistory]) -> list[Figure]:
    from harness.timing.history.charts import history_figures

    return history_figures(series)[:_MOST_CHARTS]


def history_json(findings: HistoryFindings) -> bytes:
    """Return every series with its gates, levels and steps; changes are ratios, above 1 is worse."""
    document = {
        "gates": [gate.id for gate in findings.gates],
        "series": [_series(each) for each in in_order(findings.history.series)],
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


def _series(series: MetricHistory) -> dict[str, object]:
    trend = series.trend
    points = [
        {
            "gate": point.gate,
            "date": point.date,
            "base": point.base,
            "head": point.head,
            "ratio": math.exp(point.ratio.log),
            "pairs": point.ratio.pairs,
            "level": math.exp(trend.levels[number]) if trend else None,
        }
        for number, point in enumerate(series.points)
    ]
    return {
        "benchmark": series.benchmark,
        "metric": series.metric,
        "latest": series.latest,
        "sentence": sentence(series),
        "steps": [{"at": step.at, **_ratio(step.change)} for step in (trend.steps if trend else [])],
        "total": _ratio(trend.total) if trend else None,
        "points": points,
    }


def _ratio(ratio: Estimate) -> dict[str, float | None]:
    return {"ratio": ratio.value, "low": ratio.low, "high": ratio.high}
