"""Page building: templates that escape, charts as JSON, and Vega itself, so that a page opens offline."""

import contextlib
import json
import re
from collections.abc import Iterable
from importlib import metadata

import jinja2
import vl_convert
from markupsafe import Markup, escape

from harness.machine.files import cache_folder, replace_file
from harness.report.charts import CONFIG
from harness.report.figure import Figure


def render(template: str, figures: Iterable[Figure], **content: object) -> str:
    """Fill a template. All text in it that comes from records or plugins is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness.report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["code"] = _code
    environment.filters["intervals"] = _intervals
    return environment.get_template(template).render(
        **content,
        specs=Markup(_specs(figures)),  # noqa: S704  made safe for a script there
        bundle=Markup(_bundle()),  # noqa: S704  Vega's own code
    )


def _code(text: str) -> Markup:
    """Escaped text with every part between backticks set as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704


def _intervals(text: str) -> Markup:
    """Escaped text in which no line breaks within brackets, so that the ends of an interval stay together."""
    unbroken = r'<span class="unbroken">\g<0></span>'
    return Markup(re.sub(r"\[[^\[\]]*\]", unbroken, str(escape(text))))  # noqa: S704


def _specs(figures: Iterable[Figure]) -> str:
    """The charts as JSON that cannot end the script element that holds it."""
    specs = {figure.name: figure.chart.to_dict(validate=False) | {"config": CONFIG} for figure in figures}
    return json.dumps(specs, separators=(",", ":")).replace("<", "\\u003c")


def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script. It is cached: building it takes two seconds."""
    path = cache_folder() / f"vega-{metadata.version('vl-convert-python')}.js"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if cached := path.read_text("utf-8"):
            return cached
    script: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]
    script = script.replace("</script", "<\\/script")
    with contextlib.suppress(OSError):  # without the cache the next page takes longer
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, script.encode())
    return script
