"""The report as one HTML file that opens offline: the answer, then each task, then method and notes."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from harness.analysis.findings import Findings, GroupFindings, TaskFindings
from harness.analysis.study_effects import StudyFinding
from harness.report.answers import Answer, answer
from harness.report.charts import Colours
from harness.report.duel import DECIDES
from harness.report.figure import Figure, Passage, Picture
from harness.report.figures import colours_of, group_figures
from harness.report.html import render
from harness.report.method import METHOD, caveats, data_sources, machines
from harness.report.numbers import RATIO_LEGEND, cut
from harness.report.outcome_charts import group_pictures, sampled_passages
from harness.report.overfitting_words import (
    gap_sentence,
    overfitting_sentence,
    overfitting_table,
    study_table,
)
from harness.report.setting_tables import group_table
from harness.report.study_page import study_figures
from harness.report.study_words import study_sentence, study_title
from harness.report.table import Table
from harness.report.tables import (
    comparison_legend,
    details_table,
    has_ratios,
    machines_table,
    phases_table,
    runs_list,
)
from harness.report.words import (
    NOTHING_COMPARABLE,
    SHOWN_GROUPS,
    headline,
    kept_apart_sentence,
    left_out_sentence,
    remarks,
    variation_sentence,
)

_MOST_RUNS = 300
_MOST_NOTES = 60
#: Findings of a part that are not folded.
_MOST_FINDINGS = 6


class Part(NamedTuple):
    """A part of a task's section: findings, tables that are shown, figures, and tables that are folded.

    ``label`` is its short title in the contents.
    """

    id: str
    label: str
    title: str
    findings: list[str]
    tables: list[Table]
    figures: list[Figure]
    folded: list[Table]
    kind: str = ""
    pictures: Sequence[Picture] = ()
    passages: Sequence[Passage] = ()


class TaskSection(NamedTuple):
    """Everything about one task. ``title`` is more than its name where it has only one part."""

    id: str
    name: str
    title: str
    parts: list[Part]


def html_report(findings: Findings) -> str:
    """The page."""
    colours = colours_of(findings)
    numbers = {id(group): number for number, group in enumerate(findings.groups[:SHOWN_GROUPS], 1)}
    answers: list[Answer] = []
    tasks: list[TaskSection] = []
    for task in findings.by_task():
        shown = {numbers[id(group)]: group for group in task.groups if id(group) in numbers}
        if shown or task.studies:
            studies = {n: study for n, study in enumerate(findings.studies, 1) if study in task.studies}
            tasks.append(_task(f"task-{len(tasks) + 1}", task, shown, studies, colours, findings.results))
            answers += [
                answer(group, f"comparison-{number}", colours, findings.results)
                for number, group in shown.items()
            ]
    compared = [group.comparison for group in findings.groups[:SHOWN_GROUPS]]
    with_ratios = bool(findings.studies) or any(map(has_ratios, compared))
    return render(
        "report.html.j2",
        [figure for task in tasks for part in task.parts for figure in part.figures],
        meta=_meta(findings),
        compared=[one for one in answers if one.compared],
        alone=[one for one in answers if not one.compared],
        decides=DECIDES,
        legend=RATIO_LEGEND if with_ratios else "",
        tasks=tasks,
        across=[machines_table(across) for across in findings.machines],
        most_findings=_MOST_FINDINGS,
        nothing=NOTHING_COMPARABLE,
        hidden=max(0, len(findings.groups) - SHOWN_GROUPS),
        **_notes(findings),
    )


def _meta(findings: Findings) -> list[str]:
    """What the report covers, and where and when it was measured."""
    runs = findings.runs
    dates = sorted({run.record.started_at[:10] for run in runs})
    cpus = list(dict.fromkeys(run.record.machine.cpu for run in runs))
    return [
        f"{len(runs)} run{'s' * (len(runs) != 1)}",
        *([" to ".join(dict.fromkeys((dates[0], dates[-1])))] if dates else []),
        *cpus,
    ]


def _task(
    name: str,
    task: TaskFindings,
    groups: dict[int, GroupFindings],
    studies: dict[int, StudyFinding],
    colours: Colours,
    results: Path | None,
) -> TaskSection:
    parts = [_group_part(group, f"comparison-{number}", colours, results) for number, group in groups.items()]
    parts += [_study_part(study, f"study-{number}") for number, study in studies.items()]
    return TaskSection(name, task.task, parts[0].title if len(parts) == 1 else task.task, parts)


def _findings(group: GroupFindings) -> list[str]:
    """What a group shows. The answer already has the headline of a configuration without a comparison."""
    return [
        *([headline(group.comparison)] if group.comparison.pairs else []),
        *remarks(group.comparison),
        *(overfitting_sentence(overfit) for overfit in group.overfittings),
        *(gap_sentence(gap) for gap in group.gaps),
    ]


def _group_part(group: GroupFindings, name: str, colours: Colours, results: Path | None) -> Part:
    comparison = group.comparison
    folded = [details_table(comparison), phases_table(comparison)]
    if group.overfittings:
        folded.insert(0, overfitting_table(group.overfittings))
    title = comparison.group.title
    return Part(
        name,
        title,
        title,
        _findings(group),
        [
            group_table(group)._replace(  # the page states how ratios are read once, above all
                legend=comparison_legend([comparison], ratios=False)
            )
        ],
        group_figures(group, name, colours, results, relative=False),
        folded,
        pictures=group_pictures(group, name, results),
        passages=sampled_passages(group, name),
    )


def _study_part(study: StudyFinding, name: str) -> Part:
    return Part(
        name,
        f"Remedies: {study.configuration.name}",
        study_title(study),
        [study_sentence(study)],
        [study_table(study)],
        study_figures(study, name),
        [],
        "named",
    )


def _notes(findings: Findings) -> dict[str, object]:
    """Cautions, what was left out or not compared, method, machines and runs."""
    left_out = [*map(left_out_sentence, findings.left_out), *findings.unreadable]
    kept_apart = [*map(kept_apart_sentence, findings.kept_apart)]
    runs = findings.runs
    return {
        "cautions": [*map(variation_sentence, findings.variations), *caveats(findings)],
        "left_out": cut(left_out, _MOST_NOTES),
        "left_out_count": len(left_out),
        "kept_apart": cut(kept_apart, _MOST_NOTES),
        "kept_apart_count": len(kept_apart),
        "method": METHOD,
        "machines": [*machines(findings), *data_sources(findings)],
        "runs": runs_list(runs[:_MOST_RUNS]),
        "run_count": len(runs),
    }
