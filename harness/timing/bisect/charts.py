"""Chart of a bisection: the probability of each candidate above its pairs, in their order."""

import math

from harness.core.documents.charts import GREY, HEIGHT, PALETTE, field, layer, tips
from harness.core.documents.document import Figure
from harness.timing.bisect.findings import search_of
from harness.timing.bisect.record import BisectRecord

#: Width of the plot in pixels: two charts below one another do not follow the width of the page.
_WIDTH = 640
_WIDEST_BAR = 20.0


def posterior_figures(record: BisectRecord) -> list[Figure]:
    """Draw one figure of two charts over the candidates."""
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
