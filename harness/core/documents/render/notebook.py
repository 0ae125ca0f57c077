"""Charts for notebooks."""

from typing import TYPE_CHECKING, Any

import vl_convert

from harness.core.documents.charts import CONFIG, sized
from harness.core.documents.document import Figure

if TYPE_CHECKING:
    import altair as alt

_VEGALITE = "application/vnd.vegalite.v5+json"
_WIDTH = 480


def live_chart(figure: Figure) -> "alt.TopLevelMixin":
    """Return the chart as an Altair chart, to be changed and displayed.

    Its output needs no network, unlike that of Altair's own renderer: viewers that know Vega-Lite draw the
    chart, and all others show an image.
    """
    import altair as alt

    class Offline:
        def _repr_mimebundle_(self, *_: object, **__: object) -> dict[str, Any]:
            chart: dict[str, Any] = self.to_dict()  # type: ignore[attr-defined]
            spec = {**sized(chart, _WIDTH), "config": {**chart.get("config", {}), **CONFIG}}
            return {_VEGALITE: spec, "image/svg+xml": vl_convert.vegalite_to_svg(spec)}

    class LayerChart(Offline, alt.LayerChart):
        pass

    class FacetChart(Offline, alt.FacetChart):
        pass

    return (FacetChart if "facet" in figure.chart else LayerChart).from_dict(figure.chart)
