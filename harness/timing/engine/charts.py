"""Charts of pairs and their ratios: a duel, a gate, and the history of gates."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np

from harness.core.documents.charts import (
    FRAME_HEIGHT,
    GREY,
    HEIGHT,
    PALETTE,
    ROW_HEIGHT,
    VERDICTS,
    Colours,
    Row,
    Spec,
    by_name,
    colour_of_rows,
    configuration_colours,
    field,
    layer,
    layered,
    named_rows,
    scaled,
    tips,
    zero_line,
)
from harness.core.documents.document import Figure
from harness.core.documents.escaping import one_line
from harness.core.stats.estimate import Estimate
from harness.timing.bisect.findings import search_of
from harness.timing.bisect.record import BisectRecord
from harness.timing.duel.record import DuelRecord, DuelResult
from harness.timing.engine.findings import PairsSource
from harness.timing.engine.ratios import step_ratios
from harness.timing.gate.judgement import benchmark_ratios
from harness.timing.gate.page import METRICS, change
from harness.timing.gate.record import (
    BenchmarkRecord,
    GateRecord,
    Metric,
    MetricResult,
)
from harness.timing.history.page import (
    has_chart,
    name_of,
    steps_of,
)
from harness.timing.history.series import MetricHistory


def _percent(ratio: float) -> float:
    return round(100 * (ratio - 1), 4)


def _percent_of_log(log: float) -> float:
    return round(100 * math.expm1(log), 4)


def _interval(ratio: Estimate) -> Row:
    """The ends of an interval in per cent; without one the value itself."""
    low, high = (ratio.value if end is None else end for end in (ratio.low, ratio.high))
    return {"low": _percent(low), "high": _percent(high)}


# A duel: the ratio of each pair, its course over the pairs, and the time of each turn.

#: Points of the turns; of more, neighbours are drawn as one, their median.
_MOST_TURNS = 600
_MOST_TICKS = 10


def duel_figures(record: DuelRecord) -> list[Figure]:
    """The charts that the pairs of a duel allow; none without pairs."""
    pairs = [row for result in record.results for row in _duel_pair_rows(record, result)]
    if not pairs:
        return turn_figures(record)
    colours = configuration_colours(configuration.label for configuration in record.configurations)
    of_pairs = (
        f"Time per sample relative to {record.configurations[0].label}: each pair of fresh processes is a "
        "dot, the diamond is the ratio with its 95 % interval. Left of 0 is faster. Shaded: within "
        f"{100 * record.margin:g} %, called the same."
    )
    in_order = (
        "The same pairs in the order in which they ran. A trend means that the machine changed, or that "
        "one configuration did."
    )
    return [
        Figure("pairs", of_pairs, _duel_pairs(record, pairs, colours), "Pairs"),
        Figure("course", in_order, _course(pairs, len(record.pairs), colours), "Pairs in order"),
        *turn_figures(record),
    ]


def turn_figures(record: PairsSource) -> list[Figure]:
    """The time of each turn; none without pairs."""
    if not record.pairs:
        return []
    colours = configuration_colours(configuration.label for configuration in record.configurations)
    caption = (
        "Time of a step in each turn, one pair after the other; lines mark where fresh processes begin. "
        "Crosses: turns left out, because other programs disturbed them."
    )
    return [Figure("turns", caption, _turns(record, colours), "Turns over time")]


def _duel_pair_rows(record: DuelRecord, result: DuelResult) -> Iterator[Row]:
    labels = [configuration.label for configuration in record.configurations]
    batch_sizes = [configuration.batch_size for configuration in record.configurations]
    index = labels.index(result.configuration)
    for number, pair in enumerate(record.pairs, 1):
        for log in step_ratios([pair], index, batch_sizes).over_blocks(all_of_them=result.uneven):
            yield {
                "configuration": result.configuration,
                "pair": number,
                "change": _percent(math.exp(log)),
                # Fixed by the number alone, so that a page is the same each time it is written.
                "place": (7 * number) % 11 / 10 - 0.5,
            }


def _duel_pairs(record: DuelRecord, pairs: Sequence[Row], colours: Colours) -> Spec:
    """A row for each configuration but the reference: dots, and the ratio with its interval."""
    results: list[Row] = [
        {"configuration": each.configuration, "ratio": _percent(each.ratio.value), **_interval(each.ratio)}
        for each in record.results
        if each.ratio is not None
    ]
    rows = [*pairs, *results]
    row: Spec = {"y": by_name("configuration"), "color": colour_of_rows(rows, colours, None)}
    title = "change of the time per sample (%)"
    x = field("change:Q", title=title, scale={"padding": 16, "zero": False})
    offset = field("place:Q", scale={"domain": [-1.5, 1.5]})
    pair_tip = tips("configuration:N", "pair:Q", "change:Q")
    tip = tips("configuration:N", "ratio:Q", "low:Q", "high:Q")
    band: list[Row] = [{"from": -100 * record.margin, "to": 100 * record.margin}]
    return layered(
        rows,
        layer("rect", {"color": GREY, "opacity": 0.15}, rows=band, x="from:Q", x2="to"),
        zero_line("x"),
        layer("point", {"opacity": 0.5, "size": 45}, x=x, yOffset=offset, **row, tooltip=pair_tip),
        layer("rule", {"strokeWidth": 3}, x="low:Q", x2="high", **row),
        layer("point", {"size": 140, "shape": "diamond"}, x="ratio:Q", **row, tooltip=tip),
        height=FRAME_HEIGHT + 2 * ROW_HEIGHT * len(record.results),
    )


def _course(pairs: Sequence[Row], count: int, colours: Colours) -> Spec:
    ticks = list(range(1, count + 1, math.ceil(count / _MOST_TICKS)))  # Vega's own of two pairs: 1, 1.5, 2
    x = field("pair:Q", title="pair", axis={"values": ticks, "format": "d"}, scale={"zero": False})
    y = field("change:Q", title="change (%)", scale={"zero": False, "padding": 12})
    place: Spec = {"x": x, "y": y, "color": colour_of_rows(pairs, colours, "circle")}
    line = layer("line", {"strokeWidth": 1, "opacity": 0.6}, **place)
    dots = layer("point", {"size": 45}, **place, tooltip=tips("configuration:N", "pair:Q", "change:Q"))
    return layered(pairs, zero_line("y"), line, dots)


def _turns(record: PairsSource, colours: Colours) -> Spec:
    """The step time of every turn, in milliseconds; disturbed ones are crosses."""
    rows = list(_turn_rows(record))
    starts = [{"start": row["turn"]} for row in rows if row["first"]]
    x = field(
        "turn:Q", title="turn", axis={"tickMinStep": 1}, scale={"zero": False, "nice": False, "padding": 8}
    )
    y = field("step:Q", title="step (ms, log scale)", scale={"type": "log", "nice": False, "padding": 12})
    shape = scaled("disturbed:N", {False: "circle", True: "cross"}, legend=None)
    colour = colour_of_rows(rows, colours, "circle")
    tip = tips("configuration:N", "pair:Q", "turn:Q", ("step:Q", "step (ms)"))
    border = {"color": GREY, "strokeDash": [2, 4], "opacity": 0.7}
    return layered(
        rows,
        layer("rule", border, rows=starts, x=field("start:Q", title="")),
        layer("point", {"opacity": 0.7, "size": 28}, x=x, y=y, color=colour, shape=shape, tooltip=tip),
    )


def _turn_rows(record: PairsSource) -> Iterator[Row]:
    """A row for each block, or for as many neighbouring blocks together as make the chart light enough."""
    total = sum(len(pair.blocks) for pair in record.pairs) // len(record.configurations)
    together = math.ceil(total / _MOST_TURNS)
    before = 0
    for number, pair in enumerate(record.pairs, 1):
        for index, configuration in enumerate(record.configurations):
            blocks = [block for block in pair.blocks if block.configuration == index]
            for at in range(0, len(blocks), together):
                merged = blocks[at : at + together]
                yield {
                    "configuration": configuration.label,
                    "pair": number,
                    "turn": before + merged[0].turn + 1,
                    "step": round(
                        statistics.median(1e3 * block.seconds / block.steps for block in merged), 5
                    ),
                    "disturbed": all(block.disturbed for block in merged),
                    "first": index == 0 and at == 0 and number > 1,
                }
        before += max(block.turn for block in pair.blocks) + 1


# A gate: the change of each metric with its limit, and the ratio of each pair.

#: Colour and shape of the pairs of each stage.
_STAGES = {"quick check": (GREY, "circle"), "further pairs": ("#e69f00", "square")}
_GATE_FRAME_HEIGHT = 60


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
    pairs = [row for each in record.benchmarks for row in _gate_pair_rows(each)]
    if pairs:
        caption = (
            "Change of the step in each pair of fresh processes: those of the quick check above, further "
            "ones below."
        )
        figures.append(Figure("pairs", caption, _gate_pairs(pairs), "Step by pair"))
    return figures


def _change_row(benchmark: BenchmarkRecord, metric: Metric) -> Row | None:
    result: MetricResult | None = next((each for each in benchmark.metrics if each.metric == metric), None)
    if result is None or result.ratio is None:
        return None
    return {
        "benchmark": one_line(benchmark.name),
        "verdict": result.verdict,
        "change": _percent(result.ratio.value),
        **_interval(result.ratio),
        "limit": _percent(1 + result.limit),
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
            "change": _percent(math.exp(log)),
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
    """The channels of the values that occur in a field; both share one legend."""
    shown = [value for value in looks if any(row[name] == value for row in rows)]
    return {
        channel: scaled(f"{name}:N", {value: looks[value][place] for value in shown})
        for place, channel in enumerate(("color", "shape"))
    }


# A history: for each series its gates, the level, and where it changes.

_DEVIATES = 1.959964


def history_figures(series: Sequence[MetricHistory]) -> list[Figure]:
    """A chart of each series with more than one gate and known noise."""
    return [
        Figure(
            f"series-{number}",
            f"Change since {one_line(each.start)}: each gate with its 95 % interval, and the level (line).",
            _chart(each),
            name_of(each),
        )
        for number, each in enumerate(filter(has_chart, series), 1)
    ]


def _chart(series: MetricHistory) -> Spec:
    trend = series.trend
    assert trend is not None  # noqa: S101  only such series are shown
    logs = np.array([point.ratio.log for point in series.points])
    half, levels = _DEVIATES * trend.noise, list(map(_percent_of_log, trend.levels))
    values = {"change": logs, "low": logs - half, "high": logs + half}
    columns = {"level": levels, **{name: list(map(_percent_of_log, each)) for name, each in values.items()}}
    rows: list[Row] = [
        {"name": point.name, "date": point.date, **{name: each[place] for name, each in columns.items()}}
        for place, point in enumerate(series.points)
    ]
    steps: list[Row] = [
        {
            "name": point.name,
            "date": point.date,
            "level": levels[step.at],
            "size": size,
            "short": change(series.metric, msgspec.structs.replace(step.change, low=None, high=None)),
            "direction": "worse" if step.change.value > 1 else "better",
        }
        for step, (point, size) in zip(trend.steps, steps_of(series), strict=True)
    ]
    names = [point.name for point in series.points]
    axis = {"labelAngle": -40, "labelLimit": 80, "labelOverlap": True, "grid": False}
    x = field("name:N", title=None, sort=names, axis=axis)
    y = field("change:Q", title="change since the base (%)", scale={"zero": False})
    low, level = field("low:Q", title=""), field("level:Q", title="")
    tip = tips("name:N", "date:N", "change:Q", "low:Q", "high:Q", "level:Q")
    steps_of_level = {"interpolate": "step", "strokeWidth": 2.5, "color": "#0072b2"}
    return layered(
        rows,
        zero_line("y"),
        layer("rule", {"color": GREY, "opacity": 0.6}, x=x, y=low, y2="high"),
        layer("circle", {"color": GREY, "opacity": 0.9, "size": 32}, x=x, y=y, tooltip=tip),
        layer("line", steps_of_level, x=x, y=level),
        *(_step_layers(steps, x) if steps else []),
    )


def _step_layers(steps: list[Row], x: Spec) -> list[Spec]:
    """The size of each step, at the first gate with the new level. A triangle shows its direction."""
    colours = {"worse": VERDICTS["FAIL"][0], "better": VERDICTS["PASS"][0]}
    colour = scaled("direction:N", colours, legend=None)
    shape = scaled("direction:N", {"worse": "triangle-up", "better": "triangle-down"}, legend=None)
    tip = tips("name:N", "date:N", "size:N")
    place: Spec = {"x": x, "y": field("level:Q", title="")}
    return [
        layer("point", {"size": 130}, rows=steps, **place, color=colour, shape=shape, tooltip=tip),
        layer("text", {"dy": -14, "fontSize": 12}, rows=steps, **place, text="short:N"),
    ]


# Chart of a bisection: the probability of each candidate above its pairs, in their order.

#: Of the plot in pixels: two charts below one another do not follow the width of the page.
_WIDTH = 640
_WIDEST_BAR = 20.0


def posterior_figures(record: BisectRecord) -> list[Figure]:
    """One figure of two charts over the candidates."""
    search, names = search_of(record), record.candidates
    skipped = {each.candidate for each in record.skipped}
    bars = [
        {
            "number": number,
            "name": names[number].name,
            "title": names[number].title,
            "probability": 100 * share,
            "skipped": number in skipped,
        }
        for number, share in enumerate([0.0, *search.posterior.tolist()])
    ]
    dots = [
        {"number": number, "name": names[number].name, "change": 100 * (math.exp(log) - 1)}
        for number, values in search.values.items()
        for log in values
    ]
    scale = {"domain": [-0.5, len(names) - 0.5], "nice": False}
    colour = {"condition": {"test": "datum.skipped", "value": GREY}, "value": PALETTE[1]}
    above = layer(
        "bar",
        {"size": min(0.8 * _WIDTH / len(names), _WIDEST_BAR)},
        rows=bars,
        x=field("number:Q", title=None, axis={"labels": False}, scale=scale),
        y=field("probability:Q", title="probability (%)"),
        color=colour,
        tooltip=tips("name:N", "title:N", ("probability:Q", "probability (%)")),
    )
    below = layer(
        "circle",
        {"color": PALETTE[0], "opacity": 0.7, "size": 50},
        rows=dots,
        x=field("number:Q", title=f"{record.kind}, from good to bad", axis={"tickMinStep": 1}, scale=scale),
        y=field("change:Q", title=f"{record.metric} to good (%)"),
        tooltip=tips("name:N", ("change:Q", "change (%)")),
    )
    caption = (
        "Above: the probability that a candidate is the culprit. Below: the change from good in each pair. "
        "Pairs of good itself show how much equal code varies."
    )
    size = {"width": _WIDTH, "height": HEIGHT / 2}
    chart = {"vconcat": [{**above, **size}, {**below, **size}], "spacing": 10}
    return [Figure("posterior", caption, chart, "Probability and pairs")]
