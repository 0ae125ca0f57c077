"""Charts as tests read them."""

from typing import Any

import altair as alt


def valid(chart: dict[str, Any]) -> dict[str, Any]:
    """The chart, which satisfies the schema of Vega-Lite."""
    kind = alt.FacetChart if "facet" in chart else alt.LayerChart
    kind.from_dict(chart, validate=True)
    return chart
