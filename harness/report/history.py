"""A history for the terminal, as Markdown, and as JSON."""

import math
import textwrap
from collections.abc import Iterator

import msgspec

from harness.gate.history import MetricHistory
from harness.report.escaping import for_markdown, one_line
from harness.report.history_words import (
    ToldHistory,
    gap_sentence,
    headline,
    in_order,
    sentence,
    steps_of,
)
from harness.report.terminal import terminal_width
from harness.stats.estimate import Estimate

_NARROWEST = 60


def history_text(told: ToldHistory, width: int | None = None) -> str:
    """How many series changed, a sentence a series, what was not measured, what was left out."""
    width = max(width or terminal_width(), _NARROWEST)
    first = headline(told)
    parts = [[f"{first[0].upper()}{first[1:]}."]]
    parts.append([f"{sentence(one)}." for one in in_order(told.history.series)])
    parts.append([f"Missing: {gap_sentence(gap)}." for gap in told.gaps])
    parts.append([f"Left out: {one_line(reason)}." for reason in told.history.left_out])
    return "\n\n".join("\n".join(_filled(line, width) for line in part) for part in parts if part)


def _filled(line: str, width: int) -> str:
    return textwrap.fill(line, width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)


def history_markdown(told: ToldHistory) -> str:
    """The same as Markdown; series without a change are folded away."""
    return "\n\n".join(_markdown_parts(told)) + "\n"


def _markdown_parts(told: ToldHistory) -> Iterator[str]:
    first = headline(told)
    yield f"## {for_markdown(f'{first[0].upper()}{first[1:]}')}"
    series = in_order(told.history.series)
    changed = [one for one in series if steps_of(one)]
    same = [one for one in series if not steps_of(one)]
    if changed:
        yield _listed([sentence(one) for one in changed])
    if told.gaps:
        yield "### Missing\n\n" + _listed([gap_sentence(gap) for gap in told.gaps])
    if same:
        listed = _listed([sentence(one) for one in same])
        yield f"<details><summary>No change</summary>\n\n{listed}\n\n</details>"
    if told.history.left_out:
        yield "### Left out\n\n" + _listed(told.history.left_out)


def _listed(sentences: list[str]) -> str:
    return "\n".join(f"- {for_markdown(one)}." for one in sentences)


def history_json(told: ToldHistory) -> bytes:
    """Every series with its gates, levels and steps; changes are ratios, above 1 is worse."""
    document = {
        "gates": [gate.id for gate in told.gates],
        "series": [_series(one) for one in in_order(told.history.series)],
        "gaps": [
            {
                "benchmark": gap.benchmark,
                "metric": gap.metric,
                "first": gap.first.id,
                "last": gap.last.id,
                "gates": gap.gates,
                "open": gap.open,
                "reason": gap.reason,
            }
            for gap in told.gaps
        ],
        "left_out": told.history.left_out,
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
            "level": math.exp(trend.levels[place]) if trend else None,
        }
        for place, point in enumerate(series.points)
    ]
    steps = [{"at": step.at, **_ends(step.change)} for step in (trend.steps if trend else [])]
    return {
        "benchmark": series.benchmark,
        "metric": series.metric,
        "rule": series.rule,
        "latest": series.latest,
        "sentence": sentence(series),
        "steps": steps,
        "total": _ends(trend.total) if trend else None,
        "points": points,
    }


def _ends(ratio: Estimate) -> dict[str, float | None]:
    return {"ratio": ratio.value, "low": ratio.low, "high": ratio.high}
