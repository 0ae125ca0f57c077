"""Parts of the charts of pairs: ratios in per cent, and the time of each turn."""

import math
import statistics
from collections.abc import Iterator, Mapping

from harness.core.documents.charts import (
    GREY,
    Colours,
    Row,
    Spec,
    colour_of_rows,
    configuration_colours,
    field,
    layer,
    layered,
    scaled,
    tips,
)
from harness.core.documents.document import Figure
from harness.core.stats.estimate import Estimate
from harness.timing.engine.findings import PairsSource
from harness.timing.engine.steps.findings import WorkComparison


def percent_of(ratio: float) -> float:
    """Return a ratio as a change in per cent."""
    return round(100 * (ratio - 1), 4)


def interval_of(ratio: Estimate) -> Row:
    """Return the ends of an interval in per cent; without an interval, the value itself."""
    low, high = (ratio.value if end is None else end for end in (ratio.low, ratio.high))
    return {"low": percent_of(low), "high": percent_of(high)}


#: Points of the turns; of more, neighbours are drawn as one, their median.
_MOST_TURNS = 600


def turn_figures(record: PairsSource) -> list[Figure]:
    """Draw the time of each turn; return nothing without pairs."""
    if not record.pairs:
        return []
    colours = configuration_colours(configuration.label for configuration in record.configurations)
    caption = (
        "Time of a step in each turn, one pair after the other; lines mark where fresh processes begin. "
        "Crosses: turns left out, because other programs disturbed them."
    )
    return [Figure("turns", caption, _turns(record, colours), "Turns over time")]


def _turns(record: PairsSource, colours: Colours) -> Spec:
    """Draw the step time of every turn, in milliseconds; disturbed turns are crosses."""
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
    """Return a row for each block.

    Neighbouring blocks are merged where the chart would have too many points.
    """
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


#: Colour and shape of what a chart of deviations shows.
_DEVIATIONS = {
    "deviation": ("#d55e00", "circle"),
    "deviation in float64": ("#0072b2", "square"),
    "explained by rounding": (GREY, "triangle-up"),
}


def deviation_figures(compared: Mapping[str, WorkComparison]) -> list[Figure]:
    """Draw how far the values of a step depart from those of the reference, by the name of each comparison.

    Nothing is drawn where the values are equal bit by bit.
    """
    rows = [row for name, each in compared.items() for row in _deviation_rows(name, each)]
    if not rows:
        return []
    caption = (
        "Largest difference of the values of each call from those of the reference, relative to the largest "
        "value, and what rounding explains. Equal values have no point."
    )
    return [Figure("deviations", caption, _deviations(rows), "Values over calls")]


def _deviation_rows(name: str, comparison: WorkComparison) -> Iterator[Row]:
    if not comparison.envelope:
        return
    series = (comparison.deviations, comparison.exact, comparison.envelope)
    for kind, deviations in zip(_DEVIATIONS, series, strict=True):
        for call, deviation in enumerate(deviations[: comparison.calls], 1):
            if deviation:
                yield {"step": name, "series": kind, "call": call, "deviation": float(f"{deviation:.3g}")}


def _deviations(rows: list[Row]) -> Spec:
    x = field("call:Q", title="call", axis={"tickMinStep": 1}, scale={"zero": False, "padding": 8})
    y = field(
        "deviation:Q",
        title="relative deviation (log scale)",
        scale={"type": "log", "nice": False, "padding": 12},
        axis={"format": ".0e"},
    )
    colour, shape = (
        scaled("series:N", {name: look[part] for name, look in _DEVIATIONS.items()}, title="")
        for part in range(2)
    )
    tip = tips("step:N", "series:N", "call:Q", ("deviation:Q", "relative deviation"))
    look: Spec = {"x": x, "y": y, "color": colour, "detail": field("step:N")}
    points = layer("point", {"size": 40}, **look, shape=shape, tooltip=tip)
    return layered(rows, layer("line", {"opacity": 0.5}, **look), points)
