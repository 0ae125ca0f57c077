"""Parts shared by all charts: the colours of configurations, layers over the same rows, tooltips."""

import zlib
from collections.abc import Iterable, Mapping, Sequence

import altair as alt
from altair.utils.schemapi import debug_mode

from harness.report.chart_style import GREY, HEIGHT, PALETTE
from harness.stats.estimate import Estimate

Row = dict[str, object]
#: The colour of each configuration, the same in every chart of a report.
Colours = Mapping[str, str]

#: Spreads the backends that come with the harness over the palette, so that none displaces another.
_SPREAD = 75945
#: Columns of a legend that fit a phone, with the most characters that a name may have.
_LEGEND_COLUMNS = ((3, 12), (2, 20))

#: Builds charts without validating each part against the schema of Vega-Lite, which takes longer than all
#: else. The tests validate every chart as a whole.
unchecked = debug_mode(False)


def layered(rows: Sequence[Row], *layers: alt.Chart, height: int = HEIGHT) -> alt.LayerChart:
    """Layers over the same rows, which stand in the whole alone."""
    chart = alt.LayerChart(data=alt.InlineData(values=list(rows)), width="container", height=height)
    chart.layer = list(layers)  # as an argument, Altair would copy each of them several times
    return chart


def tips(*fields: str | tuple[str, str]) -> list[alt.Tooltip]:
    """Tooltips of fields such as ``mean:Q`` or, with a title, ``("mean:Q", "mean (s)")``; four digits."""
    pairs = [(field, alt.Undefined) if isinstance(field, str) else field for field in fields]
    return [
        alt.Tooltip(field, title=title, format=".4~r" if field.endswith(":Q") else "")
        for field, title in pairs
    ]


def zero_line() -> alt.Chart:
    """A dashed line where its axis is 0. The axis must encode the field ``zero:Q``."""
    line: alt.Chart = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(strokeDash=[4, 4], color=GREY)
    return line


def ends(value: Estimate, name: str) -> Row:
    """An estimate as three fields: ``name``, ``name low`` and ``name high``."""
    low, high = (value.value if end is None else end for end in (value.low, value.high))
    return {name: value.value, f"{name} low": low, f"{name} high": high}


def configuration_colours(names: Iterable[str], without: str = "") -> Colours:
    """A colour for each name, in their order: the same on every page, as far as no other name has it.

    A name's checksum chooses its colour; versions in brackets do not count. Of two names with the same choice
    the alphabetically later one takes the next free colour. From the eighth name on the colours repeat. The
    colour ``without`` is not used.
    """
    shown = list(dict.fromkeys(names))
    palette = [colour for colour in PALETTE if colour != without]
    taken: dict[str, str] = {}
    for name in sorted(shown):
        label = name.partition(" (")[0]
        first = zlib.crc32(f"{_SPREAD} {label}".encode()) % len(palette)
        choices = [*palette[first:], *palette[:first]]
        free = [colour for colour in choices if colour not in taken.values()]
        taken[name] = (free or choices)[0]
    return {name: taken[name] for name in shown}


def colour_of_rows(rows: Sequence[Row], colours: Colours, symbol: str | None) -> alt.Color:
    """The colour channel of rows with a field ``configuration``; its legend shows ``symbol``, if any."""
    present = {row["configuration"] for row in rows}
    shown = [name for name in colours if name in present]
    scale = alt.Scale(domain=shown, range=[colours[name] for name in shown])
    if symbol is None:
        return alt.Color("configuration:N", scale=scale, legend=None)
    longest = max(map(len, shown), default=0)
    columns = next((columns for columns, most in _LEGEND_COLUMNS if longest <= most), 1)
    legend = alt.Legend(symbolType=symbol, symbolStrokeWidth=2, columns=columns, labelLimit=260)
    return alt.Color("configuration:N", scale=scale, legend=legend)
