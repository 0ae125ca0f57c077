"""Charts of a gate: the change of each metric with its limit, and the ratio of each pair."""

import math
from collections.abc import Mapping, Sequence

from harness.core.documents.charts import (
    GREY,
    VERDICTS,
    Row,
    Spec,
    by_name,
    field,
    layer,
    named_rows,
    scaled,
    tips,
    zero_line,
)
from harness.core.documents.document import Figure
from harness.core.documents.escaping import one_line
from harness.timing.engine.charts import deviation_figures, interval_of, percent_of
from harness.timing.gate.metric_table import MetricName, metrics
from harness.timing.gate.metrics import benchmark_ratios
from harness.timing.gate.record import BenchmarkRecord, GateRecord, MetricResult

#: Colour and shape of the pairs of each stage.
_STAGES = {"quick check": (GREY, "circle"), "further pairs": ("#e69f00", "square")}
_GATE_FRAME_HEIGHT = 60


def gate_figures(record: GateRecord) -> list[Figure]:
    """Draw a chart of each measured metric, and a chart of the step ratios of all pairs."""
    figures = []
    for metric in metrics():
        rows = [row for each in record.benchmarks if (row := _change_row(each, metric)) is not None]
        if rows:
            caption = (
                "Change of head relative to base, with its 95 % interval where there are 5 or more pairs. "
                "Grey bar: limit."
            )
            title = f"{metric.capitalize()} by benchmark"
            figures.append(Figure(f"change-{metric.replace(' ', '-')}", caption, _changes(rows), title))
    pairs = [row for each in record.benchmarks for row in _gate_pair_rows(each)]
    if pairs:
        caption = (
            "Change of the step in each pair of fresh processes: those of the quick check above, further "
            "ones below."
        )
        figures.append(Figure("pairs", caption, _gate_pairs(pairs), "Step by pair"))
    compared = {each.name: each.quality.values for each in record.benchmarks if each.quality is not None}
    return figures + deviation_figures({one_line(name): each for name, each in compared.items() if each})


def _change_row(benchmark: BenchmarkRecord, metric: MetricName) -> Row | None:
    result: MetricResult | None = next((each for each in benchmark.metrics if each.metric == metric), None)
    if result is None or result.ratio is None:
        return None
    return {
        "benchmark": one_line(benchmark.name),
        "verdict": result.verdict,
        "change": percent_of(result.ratio.value),
        **interval_of(result.ratio),
        "limit": percent_of(1 + result.limit),
        "pairs": result.pairs,
    }


def _gate_pair_rows(benchmark: BenchmarkRecord) -> list[Row]:
    stages = dict(zip(_STAGES, (benchmark.look, benchmark.confirmation), strict=True))
    uneven = any(result.uneven for result in benchmark.metrics)
    return [
        {
            "benchmark": one_line(benchmark.name),
            "stage": stage,
            "pair": number,
            "change": percent_of(math.exp(log)),
        }
        for stage, pairs in stages.items()
        for number, log in enumerate(
            benchmark_ratios(benchmark, "step", pairs).over_blocks(all_of_them=uneven), 1
        )
    ]


def _changes(rows: Sequence[Row]) -> Spec:
    y = by_name("benchmark")
    x = field("change:Q", title="change (%)", scale={"padding": 12})
    look = _colour_and_shape("verdict", VERDICTS, rows)
    tip = tips("benchmark:N", "verdict:N", "change:Q", "low:Q", "high:Q", "limit:Q", "pairs:Q")
    limit_tip = tips("benchmark:N", "limit:Q")
    return named_rows(
        rows,
        "benchmark",
        zero_line("x"),
        layer("tick", {"thickness": 3, "size": 22, "color": GREY}, x="limit:Q", y=y, tooltip=limit_tip),
        layer("rule", {"strokeWidth": 2}, x="low:Q", x2="high", y=y, color=look["color"]),
        layer("point", {"size": 90}, x=x, y=y, **look, tooltip=tip),
        frame=_GATE_FRAME_HEIGHT,
    )


def _gate_pairs(rows: Sequence[Row]) -> Spec:
    x = field("change:Q", title="change of the step (%)", scale={"padding": 12})
    place: Spec = {"x": x, "y": by_name("benchmark"), "yOffset": field("stage:N", sort=list(_STAGES))}
    look = _colour_and_shape("stage", _STAGES, rows)
    tip = tips("benchmark:N", "stage:N", "pair:Q", "change:Q")
    dots = layer("point", {"opacity": 0.6, "size": 50}, **place, **look, tooltip=tip)
    return named_rows(rows, "benchmark", zero_line("x"), dots, frame=_GATE_FRAME_HEIGHT)


def _colour_and_shape(name: str, looks: Mapping[str, tuple[str, str]], rows: Sequence[Row]) -> Spec:
    """Return the channels of the values that occur in a field; both share one legend."""
    shown = [value for value in looks if any(row[name] == value for row in rows)]
    return {
        channel: scaled(f"{name}:N", {value: looks[value][place] for value in shown})
        for place, channel in enumerate(("color", "shape"))
    }
