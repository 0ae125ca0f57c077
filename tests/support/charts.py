"""Charts as tests read them."""

from typing import Any

import altair as alt


def valid(chart: dict[str, Any]) -> dict[str, Any]:
    """The chart, which satisfies the schema of Vega-Lite."""
    alt.LayerChart.from_dict(chart, validate=True)
    return chart
