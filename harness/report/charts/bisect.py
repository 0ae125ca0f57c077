"""Charts of a bisection: the probability of each candidate, and its pairs."""

import math

import altair as alt

from harness.bisect.findings import search_of
from harness.bisect.record import BisectRecord
from harness.report.charts.base import GREY, HEIGHT, PALETTE, Rows
from harness.report.document import Figure

_WIDTH = 640


def posterior_figures(record: BisectRecord) -> list[Figure]:
    """One chart of two rows, over the candidates in their order."""
    search = search_of(record)
    skipped = {each.candidate for each in record.skipped}
    bars = [
        {
            "number": number,
            "name": record.candidates[number].name,
            "title": record.candidates[number].title,
            "probability": 100 * share,
            "skipped": number in skipped,
        }
        for number, share in enumerate([0.0, *search.posterior.tolist()])
    ]
    dots = [
        {"number": number, "name": record.candidates[number].name, "change": 100 * (math.exp(log) - 1)}
        for number, values in search.values.items()
        for log in values
    ]
    scale = alt.Scale(domain=[-0.5, len(record.candidates) - 0.5], nice=False)
    below_axis = alt.Axis(tickMinStep=1)
    x = alt.X("number:Q", title=f"{record.kind}, from good to bad", axis=below_axis, scale=scale)
    width = max(1.0, 0.8 * _WIDTH / len(record.candidates))
    above = (
        alt.Chart(Rows(bars), width=_WIDTH, height=HEIGHT / 2)
        .mark_bar(size=min(width, 20.0))
        .encode(
            x=alt.X("number:Q", title=None, axis=alt.Axis(labels=False), scale=scale),
            y=alt.Y("probability:Q", title="probability (%)"),
            color=alt.condition("datum.skipped", alt.value(GREY), alt.value(PALETTE[1])),
            tooltip=[
                alt.Tooltip("name:N"),
                alt.Tooltip("title:N"),
                alt.Tooltip("probability:Q", format=".1f"),
            ],
        )
    )
    below = (
        alt.Chart(Rows(dots), width=_WIDTH, height=HEIGHT / 2)
        .mark_circle(color=PALETTE[0], opacity=0.7, size=50)
        .encode(
            x=x,
            y=alt.Y("change:Q", title=f"{record.metric} to good (%)"),
            tooltip=[alt.Tooltip("name:N"), alt.Tooltip("change:Q", format="+.1f")],
        )
    )
    caption = (
        "Above: the probability that a candidate is the culprit. Below: the change from good in each pair. "
        "Pairs of good itself show how much equal code varies."
    )
    chart = alt.vconcat(above, below, spacing=10)
    return [Figure("posterior", caption, chart, "Probability and pairs")]
