"""The report as Markdown for a pull request: answers and tables for each task, pictures next to it."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from harness.analysis.findings import Findings, GroupFindings
from harness.report.duel import DECIDES, next_duel
from harness.report.escaping import for_markdown
from harness.report.figures import all_figures, svg
from harness.report.files import write_text
from harness.report.method import caveats, data_sources, machines
from harness.report.numbers import RATIO_LEGEND, cut
from harness.report.overfitting_words import (
    gap_sentence,
    overfitting_sentence,
    overfitting_table,
    study_table,
)
from harness.report.setting_tables import group_table
from harness.report.study_words import study_sentence, study_title
from harness.report.table import Table, markdown_table
from harness.report.tables import comparison_legend, details_table, machines_table
from harness.report.words import (
    NOTHING_COMPARABLE,
    SHOWN_GROUPS,
    headline,
    kept_apart_sentence,
    left_out_sentence,
    remarks,
    variation_sentence,
    where_text,
)

#: The charts that are drawn, of the group with the most runs: each takes a tenth of a second.
_PICTURES = ("relative", "time", "curves", "remedies")
_PICTURED_GROUPS = 1
_WIDTH = 420
_MOST_NOTES = 40

_Pictures = Mapping[str, Path]


def write_markdown(findings: Findings, path: Path) -> list[Path]:
    """Write the report and an SVG file for each chart that it shows; the paths, the report first."""
    few = dataclasses.replace(findings, groups=findings.groups[:_PICTURED_GROUPS])
    figures = [figure for figure in all_figures(few).values() if figure.name.endswith(_PICTURES)]
    pictures = {figure.name: path.with_name(f"{path.stem}-{figure.name}.svg") for figure in figures}
    for figure in figures:
        write_text(pictures[figure.name], svg(figure, _WIDTH))
    write_text(path, "\n\n".join(_parts(findings, pictures)) + "\n")
    return [path, *pictures.values()]


def _parts(findings: Findings, pictures: _Pictures) -> Iterator[str]:
    yield "# Benchmark report"
    if findings.groups or findings.studies:
        yield RATIO_LEGEND
    else:
        yield NOTHING_COMPARABLE
    numbers = {id(finding): number for number, finding in enumerate(findings.groups, 1)}
    numbers |= {id(finding): number for number, finding in enumerate(findings.studies, 1)}
    for task in findings.by_task(SHOWN_GROUPS):
        yield f"## {for_markdown(task.task)}"
        for group in task.groups:
            shown = _shown(pictures, f"comparison-{numbers[id(group)]}")
            yield from _group(group, next_duel(group.comparison, findings.results), shown)
        for study in task.studies:
            yield f"### {for_markdown(study_title(study))}"
            yield for_markdown(study_sentence(study))
            yield from _shown(pictures, f"study-{numbers[id(study)]}")
            yield markdown_table(study_table(study))
        yield from _list("Not compared", map(kept_apart_sentence, task.kept_apart))
        yield from _list("Left out", map(left_out_sentence, task.left_out))
    if (hidden := len(findings.groups) - SHOWN_GROUPS) > 0:
        yield f"{hidden} more groups of runs are not shown; select some with filters such as `task=cnn`."
    for across in findings.machines:
        table = machines_table(across)
        yield f"## {for_markdown(table.title)}"
        yield markdown_table(table)
        yield for_markdown(table.legend)
    yield "## Conditions"
    variations = map(variation_sentence, findings.variations)
    yield from _list("Cautions", [*variations, *caveats(findings)])
    yield from _list("Machines", machines(findings))
    yield from _list("Data", data_sources(findings))
    yield from _list("Unreadable files", findings.unreadable)


def _group(group: GroupFindings, command: str | None, pictures: Iterable[str]) -> Iterator[str]:
    comparison = group.comparison
    yield f"### {for_markdown(f'{comparison.group.title} ({where_text(comparison.group)})')}"
    yield f"**{for_markdown(headline(comparison))}**"
    if command:
        yield f"{DECIDES}\n\n```sh\n{command}\n```"
    yield markdown_table(group_table(group))
    yield for_markdown(comparison_legend([comparison], ratios=False))
    yield from pictures
    sentences = [overfitting_sentence(overfit) for overfit in group.overfittings]
    yield from _list("Overfitting", [*sentences, *map(gap_sentence, group.gaps)])
    yield from _list("Notes", remarks(comparison))
    yield from _folded(details_table(comparison))
    if group.overfittings:
        yield from _folded(overfitting_table(group.overfittings))


def _folded(table: Table) -> Iterator[str]:
    """A table that a reader unfolds; GitHub and GitLab render it."""
    yield f"<details><summary>{for_markdown(table.title)}</summary>"
    yield markdown_table(table)
    yield "</details>"


def _shown(pictures: _Pictures, prefix: str) -> Iterator[str]:
    names = {
        name.rpartition("-")[2]: path.name.replace(" ", "%20")
        for name, path in pictures.items()
        if name.startswith(f"{prefix}-")
    }
    if names:
        yield "\n".join(f"![{kind}]({name})" for kind, name in names.items())


def _list(title: str, sentences: Iterable[str]) -> Iterator[str]:
    shown = cut(list(sentences), _MOST_NOTES)
    if shown:
        yield f"**{title}**"
        yield "\n".join(f"- {for_markdown(sentence)}" for sentence in shown)
