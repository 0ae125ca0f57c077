"""One kind of study over several tasks: the rank of each variant by task."""

import statistics
from collections.abc import Sequence

from harness.core.documents.document import Document, Node, Paragraph, Section, Table
from harness.core.documents.numbers import NOTHING, listed
from harness.core.documents.render.terminal import terminal_text
from harness.core.runs.store import Store
from harness.learning.study.answer import headline, level_text, ranked
from harness.learning.study.finding import StudyFinding
from harness.learning.study.page import recorded_study, study_parts
from harness.learning.study.record import Study


def _findings(studies: Sequence[Study], store: Store) -> list[StudyFinding]:
    """Return the finding of each study on its first configuration; studies without runs are left out."""
    found = [recorded_study(study, store).findings for study in studies]
    return [first for first, *_ in filter(None, found)]


def across_tasks(findings: Sequence[StudyFinding]) -> list[Node]:
    """Return the table of ranks."""
    kind = findings[0].study.kind
    by_task = {
        study.study.task: {
            effect.variant.name: (place, level) for place, (effect, level) in enumerate(ranked(study), 1)
        }
        for study in findings
    }
    names = list(dict.fromkeys(name for task in by_task.values() for name in task))
    complete = [name for name in names if all(name in task for task in by_task.values())]
    means = {name: statistics.fmean(task[name][0] for task in by_task.values()) for name in complete}
    ordered = sorted(complete, key=means.__getitem__) + [name for name in names if name not in complete]
    rows = []
    for name in ordered:
        cells = []
        for study in findings:
            rank = by_task[study.study.task].get(name)
            of = study.quantities[kind.decisive[0]]
            cells.append(f"{rank[0]}: {level_text(of, rank[1])}" if rank else NOTHING)
        rows.append([name, f"{means[name]:.1f}" if name in means else NOTHING, *cells])
    headers = [kind.noun, "mean rank", *by_task]
    title = f"Rank of each {kind.noun} by task, and its score"
    nodes: list[Node] = [
        Paragraph(
            "Ranks are of means over seeds; those that are close are not certain: see the page of each "
            f"task. {len(findings)} tasks do not show which {kind.noun} is best in general."
        ),
        Table(headers, rows, title, announced=True, form="texts"),
    ]
    return nodes


def across_tasks_text(studies: Sequence[Study], store: Store) -> str:
    """Write the ranks of a kind of study over several tasks, for the terminal."""
    findings = _findings(studies, store)
    return terminal_text(_document(findings)) if findings else "No study has a result yet."


def across_tasks_page(studies: Sequence[Study], store: Store) -> str:
    """Write the page of a kind of study over several tasks, with the parts of each task."""
    from harness.core.documents.render.html import html_page

    findings = _findings(studies, store)
    document = _document(findings)
    parts: list[Node] = []
    for number, study in enumerate(findings, 1):
        title = headline(study)
        parts.append(
            Section(title, study_parts([study], f"task-{number}"), f"task-{number}", study.study.task)
        )
    return html_page(Document(document.kind, document.title, [*document.nodes, *parts], contents=True))


def _document(findings: Sequence[StudyFinding]) -> Document:
    if not findings:
        return Document("study", "No study has a result yet.", [])
    kind = findings[0].study.kind
    tasks = listed([study.study.task for study in findings])
    return Document(
        f"study of {kind.name}", f"{kind.question.rstrip('?')} on {tasks}?", across_tasks(findings)
    )
