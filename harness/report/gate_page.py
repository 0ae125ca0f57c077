"""A gate as one HTML file that opens offline: the verdict, what to do, charts, and the circumstances."""

import math
from collections.abc import Mapping, Sequence

import altair as alt

from harness.gate.judgement import benchmark_ratios
from harness.gate.record import BenchmarkRecord, GateRecord, Metric, MetricResult
from harness.report.charts import GREY, NAME_AXIS, VERDICTS, Row, layered, tips, unchecked, zero_line
from harness.report.escaping import one_line
from harness.report.figure import Figure
from harness.report.gate import measurements_table, seeds_table, verdict_table
from harness.report.gate_advice import advice
from harness.report.gate_words import METRICS, circumstances, conditions, details, headline, not_passed, why
from harness.report.html import render

# The charts of a gate: the change of each metric with its limit, and the ratio of each pair.

#: Colour and shape of the pairs of each stage.
_STAGES = {"quick check": (GREY, "circle"), "further pairs": ("#e69f00", "square")}
_ROW_HEIGHT = 34
_FRAME_HEIGHT = 60


@unchecked
def gate_figures(record: GateRecord) -> list[Figure]:
    """A chart of each metric that was measured, and one of the step ratios of all pairs."""
    figures = []
    for metric in METRICS:
        rows = [row for each in record.benchmarks if (row := _change_row(each, metric)) is not None]
        if rows:
            caption = (
                "Change of head relative to base, with its 95 % interval where there are 5 or more pairs. "
                "Grey bar: limit."
            )
            title = f"{metric.capitalize()} by benchmark"
            figures.append(Figure(f"change-{metric.replace(' ', '-')}", caption, _changes(rows), title))
    pairs = [row for each in record.benchmarks for row in _pair_rows(each)]
    if pairs:
        caption = (
            "Change of the step in each pair of fresh processes: those of the quick check above, further "
            "ones below."
        )
        figures.append(Figure("pairs", caption, _pairs(pairs), "Step by pair"))
    return figures


def _percent(ratio: float) -> float:
    return round(100 * (ratio - 1), 4)


def _change_row(benchmark: BenchmarkRecord, metric: Metric) -> Row | None:
    result: MetricResult | None = next((each for each in benchmark.metrics if each.metric == metric), None)
    if result is None or result.ratio is None:
        return None
    ratio = result.ratio
    low, high = (ratio.value if end is None else end for end in (ratio.low, ratio.high))
    return {
        "benchmark": one_line(benchmark.name),
        "verdict": result.verdict,
        "change": _percent(ratio.value),
        "low": _percent(low),
        "high": _percent(high),
        "limit": _percent(1 + result.limit),
        "pairs": result.pairs,
    }


def _pair_rows(benchmark: BenchmarkRecord) -> list[Row]:
    stages = dict(zip(_STAGES, (benchmark.look, benchmark.confirmation), strict=True))
    uneven = any(result.uneven for result in benchmark.metrics)
    return [
        {
            "benchmark": one_line(benchmark.name),
            "stage": stage,
            "pair": number,
            "change": _percent(math.exp(log)),
        }
        for stage, pairs in stages.items()
        for number, log in enumerate(
            benchmark_ratios(benchmark, "step", pairs).over_blocks(all_of_them=uneven), 1
        )
    ]


def _changes(rows: Sequence[Row]) -> alt.LayerChart:
    y = alt.Y("benchmark:N", title=None, sort=None, axis=NAME_AXIS)
    x = alt.X("change:Q", title="change (%)", scale=alt.Scale(padding=12))
    colour, shape = _colour_and_shape("verdict", VERDICTS, rows)
    tip = tips("benchmark:N", "verdict:N", "change:Q", "low:Q", "high:Q", "limit:Q", "pairs:Q")
    data = alt.Chart()
    return _over_zero(
        rows,
        data.mark_tick(thickness=3, size=22, color=GREY).encode(
            x=alt.X("limit:Q"), y=y, tooltip=tips("benchmark:N", "limit:Q")
        ),
        data.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q"), x2=alt.X2("high:Q"), y=y, color=colour),
        data.mark_point(filled=True, opacity=1, size=90).encode(
            x=x, y=y, color=colour, shape=shape, tooltip=tip
        ),
    )


def _pairs(rows: Sequence[Row]) -> alt.LayerChart:
    y = alt.Y("benchmark:N", title=None, sort=None, axis=NAME_AXIS)
    x = alt.X("change:Q", title="change of the step (%)", scale=alt.Scale(padding=12))
    colour, shape = _colour_and_shape("stage", _STAGES, rows)
    encoded = (
        alt.Chart()
        .mark_point(filled=True, opacity=0.6, size=50)
        .encode(
            x=x,
            y=y,
            yOffset=alt.YOffset("stage:N", sort=list(_STAGES)),
            color=colour,
            shape=shape,
            tooltip=tips("benchmark:N", "stage:N", "pair:Q", "change:Q"),
        )
    )
    return _over_zero(rows, encoded)


def _colour_and_shape(
    field: str, looks: Mapping[str, tuple[str, str]], rows: Sequence[Row]
) -> tuple[alt.Color, alt.Shape]:
    """Scales of the values that occur in a field; both share one legend."""
    shown = [value for value in looks if any(row[field] == value for row in rows)]
    colours = alt.Scale(domain=shown, range=[looks[value][0] for value in shown])
    shapes = alt.Scale(domain=shown, range=[looks[value][1] for value in shown])
    return alt.Color(f"{field}:N", scale=colours), alt.Shape(f"{field}:N", scale=shapes)


def _over_zero(rows: Sequence[Row], *layers: alt.Chart) -> alt.LayerChart:
    height = _FRAME_HEIGHT + _ROW_HEIGHT * len({row["benchmark"] for row in rows})
    return layered(rows, zero_line().encode(x=alt.X("zero:Q", title="")), *layers, height=height)


def gate_page(record: GateRecord) -> str:
    """The page; all text from the record is escaped.

    Raises:
        ImportError: the extra "report" is not installed.
    """
    figures = gate_figures(record)
    explanations = [
        (one_line(benchmark.name), benchmark.verdict, why(benchmark), advice(record, benchmark))
        for benchmark in not_passed(record)
    ]
    return render(
        "gate.html.j2",
        figures,
        verdict=record.verdict,
        headline=headline(record),
        circumstances=circumstances(record),
        explanations=explanations,
        verdicts=verdict_table(record),
        charts=figures,
        measurements=measurements_table(record),
        seeds=seeds_table(record),
        details=details(record),
        benchmarks=[conditions(benchmark) for benchmark in record.benchmarks],
        gate=record.id,
    )
