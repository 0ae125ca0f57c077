"""The report as one HTML file that opens offline: findings, then evidence, then how it was measured."""

import json
import os
import re
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import jinja2
import platformdirs
import vl_convert
from markupsafe import Markup, escape

from harness.findings import Findings, SectionFindings
from harness.report.chart_style import CONFIG
from harness.report.charts import Colours
from harness.report.figures import Figure, colours_of, section_figures, study_figure
from harness.report.method import METHOD, caveats, machines
from harness.report.tables import (
    Table,
    glance_table,
    overfitting_table,
    phases_table,
    runs_list,
    sides_table,
    study_table,
)
from harness.report.words import NOTHING_FOUND, SHOWN_SECTIONS, headlines
from harness.study_effects import StudyFinding

_MOST_RUNS = 300


def html_report(findings: Findings, peak_flops: float | None = None) -> str:
    """The page. All text in it that comes from records or plugins is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness.report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["code"] = _code
    told = headlines(findings)
    lead = next((answers.pop(0) for answers in told.values()), None)
    shown = findings.sections[:SHOWN_SECTIONS]
    colours = colours_of(findings)
    sections = [
        _section(found, f"setting-{number}", colours, peak_flops) for number, found in enumerate(shown, 1)
    ]
    studies = [_study(found, f"study-{number}") for number, found in enumerate(findings.studies, 1)]
    runs = findings.runs
    return environment.get_template("report.html.j2").render(
        lead=lead,
        nothing=NOTHING_FOUND,
        headlines=told,
        glance=glance_table(shown) if any(len(one.comparison.sides) > 1 for one in shown) else None,
        sections=sections,
        hidden=max(0, len(findings.sections) - SHOWN_SECTIONS),
        studies=studies,
        method=METHOD,
        caveats=caveats(findings),
        machines=machines(findings),
        findings=findings,
        runs=runs_list(runs[:_MOST_RUNS]),
        run_count=len(runs),
        dates=sorted({run.record.started_at[:10] for run in runs}),
        specs=Markup(_specs(sections + studies)),  # noqa: S704  made safe for a script there
        bundle=Markup(_bundle()),  # noqa: S704  Vega's own code
    )


class _Section(NamedTuple):
    """A part of the page: tables by their captions, and figures."""

    title: str
    tables: dict[str, Table]
    figures: list[Figure]


def _section(found: SectionFindings, prefix: str, colours: Colours, peak_flops: float | None) -> _Section:
    tables = {"Sides, fastest first; mean [95 % interval]": sides_table(found.comparison, peak_flops)}
    if found.overfittings:
        tables["Overfitting; mean [95 % interval]"] = overfitting_table(found.overfittings)
    tables["Where the time went, mean seconds of a run"] = phases_table(found.comparison)
    return _Section(found.comparison.section.title, tables, section_figures(found, prefix, colours))


def _study(found: StudyFinding, prefix: str) -> _Section:
    title = f"Remedies for {found.study.kind}: {found.title}"
    caption = f"Each against {found.effects[0].variant.name}, on the same seeds; mean [95 % interval]"
    return _Section(title, {caption: study_table(found)}, [study_figure(found, prefix)])


def _code(text: str) -> Markup:
    """Escaped text in which what stands between backticks is set as code, and a last remark smaller."""
    coded = re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text)))
    return Markup(re.sub(r"(\(Times of [^()]*\))$", r"<small>\1</small>", coded))  # noqa: S704


def _specs(sections: list[_Section]) -> str:
    """The charts as JSON that cannot end the script element that it stands in."""
    figures = [figure for section in sections for figure in section.figures]
    specs = {figure.name: figure.chart.to_dict(validate=False) | {"config": CONFIG} for figure in figures}
    return json.dumps(specs, separators=(",", ":")).replace("<", "\\u003c")


def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, kept in the cache: to make it takes two seconds."""
    cache = Path(os.environ.get("HARNESS_CACHE_DIR") or platformdirs.user_cache_dir("dl-harness"))
    path = cache / f"vega-{metadata.version('vl-convert-python')}.js"
    try:
        return path.read_text("utf-8")
    except OSError:
        script: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]
    script = script.replace("</script", "<\\/script")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(script, "utf-8")
        temporary.replace(path)
    except OSError:
        pass  # a cache that cannot be written only costs time
    return script
