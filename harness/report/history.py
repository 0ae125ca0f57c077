"""A history for the terminal, as Markdown, and as JSON."""

import math
from collections.abc import Iterator, Sequence

import msgspec

from harness.gate.history import MetricHistory
from harness.report.escaping import for_markdown
from harness.report.fitting import filled
from harness.report.gate_reasons import reason_text
from harness.report.history_tables import series_table
from harness.report.history_words import (
    HistoryFindings,
    gap_sentence,
    headline,
    in_order,
    left_out_sentence,
    sentence,
    steps_of,
)
from harness.report.table import markdown_table, terminal_table
from harness.report.terminal import terminal_width
from harness.stats.estimate import Estimate

_NARROWEST = 60


def history_text(findings: HistoryFindings, width: int | None = None) -> str:
    """How many series changed, a row per series, then what was not measured and what was left out."""
    width = max(width or terminal_width(), _NARROWEST)
    table = series_table(in_order(findings.history.series))
    left_out = map(left_out_sentence, findings.history.left_out)
    parts = [f"{headline(findings)}.", terminal_table(table, width)]
    lists = [
        [f"Not measured: {gap_sentence(gap)}." for gap in findings.gaps],
        [f"Left out: {sentence}." for sentence in left_out],
        [table.legend],
    ]
    parts += ["\n".join(filled(line, width, indent="  ") for line in lines) for lines in lists if lines]
    return "\n\n".join(parts)


def history_markdown(findings: HistoryFindings) -> str:
    """The same as Markdown; series without a change are folded away."""
    return "\n\n".join(_markdown_parts(findings)) + "\n"


def _markdown_parts(findings: HistoryFindings) -> Iterator[str]:
    series = in_order(findings.history.series)
    changed = [each for each in series if steps_of(each)]
    same = [each for each in series if not steps_of(each)]
    yield f"## {for_markdown(headline(findings))}"
    if changed:
        yield markdown_table(series_table(changed))
    if findings.gaps:
        yield "### Not measured\n\n" + _listed([gap_sentence(gap) for gap in findings.gaps])
    if same:
        table = markdown_table(series_table(same))
        yield f"<details><summary>No change</summary>\n\n{table}\n\n</details>"
    if findings.history.left_out:
        yield "### Left out\n\n" + _listed(list(map(left_out_sentence, findings.history.left_out)))
    yield for_markdown(series_table(series).legend)


def _listed(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {for_markdown(text)}." for text in sentences)


def history_json(findings: HistoryFindings) -> bytes:
    """Every series with its gates, levels and steps; changes are ratios, above 1 is worse."""
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
                "reason": "; ".join(map(reason_text, gap.reasons)),
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
