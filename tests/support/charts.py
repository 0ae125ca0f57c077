"""Charts as tests read them."""

from typing import Any

import altair as alt

_KINDS = {"facet": alt.FacetChart, "vconcat": alt.VConcatChart, "layer": alt.LayerChart}


def valid(chart: dict[str, Any]) -> dict[str, Any]:
    """The chart, which satisfies the schema of Vega-Lite."""
    next(kind for key, kind in _KINDS.items() if key in chart).from_dict(chart, validate=True)
    return chart
