"""Documents as notebooks: texts as Markdown, charts as outputs of the code that makes them again."""

import base64
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import nbformat
import pandas as pd
import vl_convert
from nbformat import v4

from harness.core.documents.charts import CONFIG, png, sized, specification
from harness.core.documents.document import Document, Figure, Figures, Passage, Picture
from harness.core.documents.escaping import for_markdown, visible
from harness.core.documents.render.markdown import Block, MarkdownWriter

if TYPE_CHECKING:
    import altair as alt

_VEGALITE = "application/vnd.vegalite.v5+json"
_WIDTH = 480


class Code(NamedTuple):
    """A cell of code, and the frame that the code displays."""

    source: str
    frame: pd.DataFrame | None = None


def notebook(document: Document, codes: Sequence[Code]) -> str:
    """Render the document, with cells of ``codes`` below its headline that make ``report`` and its charts."""
    headline, *blocks = _Writer(document, "notebook").blocks()
    cells = [*_cells([headline]), *map(_code_cell, codes), *_cells(blocks)]
    written: str = nbformat.writes(v4.new_notebook(cells=cells))
    return f"{written}\n"


class _Writer(MarkdownWriter):
    """A writer of Markdown in which figures are blocks of their own."""

    def figures(self, figures: Figures) -> Iterator[Block]:
        """Yield every figure."""
        yield from figures.make()


def _cells(blocks: Iterable[Block]) -> Iterator[Any]:
    """Yield cells of texts and of figures, in order."""
    for is_text, group in itertools.groupby(blocks, key=lambda block: isinstance(block, str)):
        if is_text:
            yield v4.new_markdown_cell("\n\n".join(map(str, group)))
        else:
            for block in group:
                if not isinstance(block, str):
                    yield from _figure_cells(block)


def _figure_cells(figure: Figure | Picture | Passage) -> Iterator[Any]:
    """Yield the caption, and the code that displays the figure, with its output."""
    title = f"**{for_markdown(figure.title)}.** " if figure.title else ""
    caption = title + for_markdown(figure.caption)
    if isinstance(figure, Passage):
        texts = [f"```text\n{visible(text).replace('```', '')}\n```" for text in figure.texts]
        yield v4.new_markdown_cell("\n\n".join([caption, *texts]))
        return
    yield v4.new_markdown_cell(caption)
    if isinstance(figure, Figure):
        yield v4.new_code_cell(f"report.charts[{figure.name!r}]", outputs=[_chart(figure)])
    else:
        source = f"from IPython.display import Image\n\nImage(report.pictures[{figure.name!r}])"
        yield v4.new_code_cell(source, outputs=[_image({"image/png": figure.png})])


def _code_cell(code: Code) -> Any:
    outputs = [] if code.frame is None else [_table_output(code.frame)]
    return v4.new_code_cell(code.source, outputs=outputs)


def _table_output(frame: pd.DataFrame) -> Any:
    safe = frame.map(lambda value: visible(value) if isinstance(value, str) else value)
    return v4.new_output("display_data", {"text/html": safe.to_html(), "text/plain": safe.to_string()})


def _chart(figure: Figure) -> Any:
    """Make the output of a chart: Vega-Lite for viewers that draw it, and an image for all others."""
    spec = json.loads(specification(figure, width=_WIDTH))
    return _image({_VEGALITE: spec, "image/png": png(figure)})


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


def _image(content: dict[str, Any]) -> Any:
    encoded = base64.b64encode(content["image/png"]).decode()
    return v4.new_output("display_data", content | {"image/png": encoded, "text/plain": "a chart"})
