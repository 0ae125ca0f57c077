"""Charts of a duel: the ratio of each pair, and its course over the pairs."""

import math
from collections.abc import Iterator, Sequence

from harness.core.documents.charts import (
    FRAME_HEIGHT,
    GREY,
    ROW_HEIGHT,
    Colours,
    Row,
    Spec,
    by_name,
    colour_of_rows,
    configuration_colours,
    field,
    layer,
    layered,
    tips,
    zero_line,
)
from harness.core.documents.document import Figure
from harness.timing.duel.record import DuelRecord, DuelResult
from harness.timing.engine.charts import deviation_figures, interval_of, percent_of, turn_figures
from harness.timing.engine.ratios import step_ratios

_MOST_TICKS = 10


def duel_figures(record: DuelRecord) -> list[Figure]:
    """Draw the charts that the pairs of a duel allow; none without pairs."""
    pairs = [row for result in record.results for row in _duel_pair_rows(record, result)]
    labels = [configuration.label for configuration in record.configurations[1:]]
    work = [] if record.step is None else record.step.work
    of_values = deviation_figures(dict(zip(labels, work, strict=False)))
    if not pairs:
        return [*of_values, *turn_figures(record)]
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
        *of_values,
    ]


def _duel_pair_rows(record: DuelRecord, result: DuelResult) -> Iterator[Row]:
    labels = [configuration.label for configuration in record.configurations]
    batch_sizes = [configuration.batch_size for configuration in record.configurations]
    index = labels.index(result.configuration)
    for number, pair in enumerate(record.pairs, 1):
        for log in step_ratios([pair], index, batch_sizes).over_blocks(all_of_them=result.uneven):
            yield {
                "configuration": result.configuration,
                "pair": number,
                "change": percent_of(math.exp(log)),
                # Fixed by the number alone, so that a page is the same each time it is written.
                "place": (7 * number) % 11 / 10 - 0.5,
            }


def _duel_pairs(record: DuelRecord, pairs: Sequence[Row], colours: Colours) -> Spec:
    """Draw a row for each configuration but the reference: dots, and the ratio with its interval."""
    results: list[Row] = [
        {
            "configuration": each.configuration,
            "ratio": percent_of(each.ratio.value),
            **interval_of(each.ratio),
        }
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
