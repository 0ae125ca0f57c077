"""A duel as an HTML file that opens offline (verdicts, pairs, turns, circumstances), and as Markdown."""

import math
import shlex
import statistics
from collections.abc import Iterator, Sequence

import altair as alt

from harness.duel.findings import ConfigurationFindings, PairsSource, configuration_findings
from harness.duel.ratios import step_ratios
from harness.duel.record import BlockRecord, DuelRecord, DuelResult
from harness.report.charts import (
    FRAME_HEIGHT,
    GREY,
    NAME_AXIS,
    ROW_HEIGHT,
    Colours,
    Row,
    colour_of_rows,
    configuration_colours,
    layered,
    tips,
    unchecked,
    zero_line,
)
from harness.report.duel import configuration_table, duel_remarks, duel_verdicts
from harness.report.escaping import for_markdown, one_line
from harness.report.figure import Figure
from harness.report.html import render
from harness.report.numbers import RATIO_LEGEND
from harness.report.table import markdown_table

# The charts of a duel: the ratio of each pair, its course over the pairs, and the time of each turn.

#: Points of the turns; of more, neighbours are drawn as one, their median.
_MOST_TURNS = 600
_MOST_TICKS = 10


@unchecked
def duel_figures(record: DuelRecord) -> list[Figure]:
    """The charts that the pairs of a duel allow; none without pairs."""
    if not record.pairs:
        return []
    colours = configuration_colours(configuration.label for configuration in record.configurations)
    reference = record.configurations[0].label
    pairs = [row for result in record.results for row in _pair_rows(record, result)]
    figures = []
    if pairs:
        caption = (
            f"Time per sample relative to {reference}: each pair of fresh processes is a dot, the diamond is "
            f"the ratio with its 95 % interval. Left of 0 is faster. Shaded: within "
            f"{100 * record.margin:g} %, called the same."
        )
        figures.append(Figure("pairs", caption, _pairs(record, pairs, colours), "Pairs"))
        caption = (
            "The same pairs in the order in which they ran. A trend means that the machine changed, or that "
            "one configuration did."
        )
        figures.append(
            Figure("course", caption, _course(pairs, len(record.pairs), colours), "Pairs in order")
        )
    return [*figures, *turn_figures(record)]


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


def _pair_rows(record: DuelRecord, result: DuelResult) -> Iterator[Row]:
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


def _percent(ratio: float) -> float:
    return round(100 * (ratio - 1), 4)


def _change_axis() -> alt.X:
    return alt.X(
        "change:Q", title="change of the time per sample (%)", scale=alt.Scale(padding=16, zero=False)
    )


def _pairs(record: DuelRecord, pairs: Sequence[Row], colours: Colours) -> alt.LayerChart:
    """A row for each configuration but the reference: dots, and the ratio with its interval."""
    y = alt.Y("configuration:N", title=None, sort=None, axis=NAME_AXIS)
    rows = [*pairs, *map(_result_row, (each for each in record.results if each.ratio is not None))]
    colour = colour_of_rows(rows, colours, None)
    data = alt.Chart()
    margin = 100 * record.margin
    band = alt.Chart(alt.InlineData(values=[{"from": -margin, "to": margin}])).mark_rect(
        color=GREY, opacity=0.15
    )
    dots = data.mark_point(filled=True, opacity=0.5, size=45).encode(
        x=_change_axis(),
        y=y,
        yOffset=alt.YOffset("place:Q", scale=alt.Scale(domain=[-1.5, 1.5])),
        color=colour,
        tooltip=tips("configuration:N", "pair:Q", "change:Q"),
    )
    interval = data.mark_rule(strokeWidth=3).encode(x=alt.X("low:Q"), x2=alt.X2("high:Q"), y=y, color=colour)
    centre = data.mark_point(filled=True, opacity=1, size=140, shape="diamond").encode(
        x=alt.X("ratio:Q"), y=y, color=colour, tooltip=tips("configuration:N", "ratio:Q", "low:Q", "high:Q")
    )
    return layered(
        rows,
        band.encode(x=alt.X("from:Q"), x2=alt.X2("to:Q")),
        zero_line().encode(x=alt.X("zero:Q", title="")),
        dots,
        interval,
        centre,
        height=FRAME_HEIGHT + 2 * ROW_HEIGHT * len(record.results),
    )


def _result_row(result: DuelResult) -> Row:
    ratio = result.ratio
    assert ratio is not None  # noqa: S101  the caller selects those with a ratio
    low, high = (ratio.value if end is None else end for end in (ratio.low, ratio.high))
    return {
        "configuration": result.configuration,
        "ratio": _percent(ratio.value),
        "low": _percent(low),
        "high": _percent(high),
    }


def _course(pairs: Sequence[Row], count: int, colours: Colours) -> alt.LayerChart:
    ticks = list(range(1, count + 1, math.ceil(count / _MOST_TICKS)))  # Vega's own of two pairs: 1, 1.5, 2
    x = alt.X("pair:Q", title="pair", axis=alt.Axis(values=ticks, format="d"), scale=alt.Scale(zero=False))
    y = alt.Y("change:Q", title="change (%)", scale=alt.Scale(zero=False, padding=12))
    data = alt.Chart()
    colour = colour_of_rows(pairs, colours, "circle")
    line = data.mark_line(strokeWidth=1, opacity=0.6).encode(x=x, y=y, color=colour)
    dots = data.mark_point(filled=True, opacity=1, size=45).encode(
        x=x, y=y, color=colour, tooltip=tips("configuration:N", "pair:Q", "change:Q")
    )
    return layered(pairs, zero_line().encode(y=alt.Y("zero:Q", title="")), line, dots)


def _turns(record: PairsSource, colours: Colours) -> alt.LayerChart:
    """The step time of every turn, in milliseconds; disturbed ones are crosses."""
    rows = list(_turn_rows(record))
    starts = [{"start": row["turn"]} for row in rows if row["first"]]
    x = alt.X(
        "turn:Q",
        title="turn",
        axis=alt.Axis(tickMinStep=1),
        scale=alt.Scale(zero=False, nice=False, padding=8),
    )
    y = alt.Y("step:Q", title="step (ms, log scale)", scale=alt.Scale(type="log", nice=False, padding=12))
    shapes = alt.Scale(domain=[False, True], range=["circle", "cross"])
    points = (
        alt.Chart()
        .mark_point(filled=True, opacity=0.7, size=28)
        .encode(
            x=x,
            y=y,
            color=colour_of_rows(rows, colours, "circle"),
            shape=alt.Shape("disturbed:N", scale=shapes, legend=None),
            tooltip=tips("configuration:N", "pair:Q", "turn:Q", ("step:Q", "step (ms)")),
        )
    )
    borders = alt.Chart(alt.InlineData(values=starts)).mark_rule(color=GREY, strokeDash=[2, 4], opacity=0.7)
    return layered(rows, borders.encode(x=alt.X("start:Q", title="")), points)


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
                    "step": round(statistics.median(map(_step_milliseconds, merged)), 5),
                    "disturbed": all(block.disturbed for block in merged),
                    "first": index == 0 and at == 0 and number > 1,
                }
        before += max(block.turn for block in pair.blocks) + 1


def _step_milliseconds(block: BlockRecord) -> float:
    return 1e3 * block.seconds / block.steps


def duel_page(record: DuelRecord) -> str:
    """The page; all text from the record is escaped.

    Raises:
        ImportError: the extra "report" is not installed.
    """
    figures = duel_figures(record)
    findings = _findings(record)
    first, *others = [*duel_verdicts(record), f"The duel is {record.status}: nothing was measured."]
    return render(
        "duel.html.j2",
        figures,
        names=" and ".join(configuration.label for configuration in record.configurations),
        headline=first,
        verdicts=others[:-1],
        meta=_meta(record),
        charts=figures,
        configurations=configuration_table(record, findings) if findings else None,
        remarks=list(duel_remarks(record, findings)) if findings else [],
        legend=RATIO_LEGEND,
        margin=f"{100 * record.margin:g} %",
        details=_details(record),
        duel=record.id,
    )


def duel_markdown(record: DuelRecord) -> str:
    """The verdicts, the table of the configurations and the remarks in GitHub's Markdown."""
    parts = ["\n".join(f"**{for_markdown(verdict)}**  " for verdict in duel_verdicts(record))]
    findings = _findings(record)
    if findings:
        parts.append(markdown_table(configuration_table(record, findings)))
        remarks = [*duel_remarks(record, findings), RATIO_LEGEND]
        parts.append("\n".join(f"- {for_markdown(remark)}" for remark in remarks))
    parts.append("\n".join(f"- {name}: {for_markdown(text)}" for name, text in _details(record).items()))
    return "\n\n".join(parts) + "\n"


def _findings(record: DuelRecord) -> list[ConfigurationFindings]:
    measured = range(len(record.configurations)) if record.pairs else ()
    return [configuration_findings(record, index) for index in measured]


def _meta(record: DuelRecord) -> list[str]:
    pairs = len(record.pairs)
    return [
        f"{record.work_name} on {record.dataset_name}" if record.dataset_name else record.work_name,
        f"{pairs} pair{'s' * (pairs != 1)}",
        f"{record.started_at[:16].replace('T', ' ')} UTC",
        record.machine.cpu,
    ]


def _details(record: DuelRecord) -> dict[str, str]:
    """The machine, the command and the task's options, by name."""
    machine = record.machine
    memory = f"{machine.memory_bytes / 2**30:.0f} GiB"
    model = f"{machine.cpu}, {machine.physical_cores} cores, {memory}, {machine.os}, {machine.libc}"
    options = ", ".join(f"{name}={value}" for name, value in record.options.items())
    texts = {
        "machine": ", ".join(filter(None, [machine.host_text, model])),
        "command": shlex.join(["harness", *record.command]),
        "options": options,
        "time": f"{record.seconds / 60:.1f} min, certification excluded",
    }
    return {name: one_line(text) for name, text in texts.items() if text}
