"""The pages above the records: the start, tasks, and the list of all records."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from harness.core.documents.document import (
    Card,
    Cards,
    Cell,
    Document,
    Item,
    Items,
    Node,
    Paragraph,
    Row,
    Section,
    Span,
    Table,
    table_of,
)
from harness.core.documents.numbers import NOTHING
from harness.core.runs.record import Record
from harness.learning.runs.comparison import Comparison
from harness.learning.runs.findings import find
from harness.learning.runs.page import findings_document
from harness.learning.runs.run_curves import Run
from harness.learning.runs.sections import sections_from
from harness.learning.runs.sentences import SHOWN_GROUPS, basis_text, headline, where_text
from harness.sharing.publish.layout import Layout, slug
from harness.timing.duel.record import DuelRecord

#: Seeds beside each other, and answers on the start page.
_MOST_SEEDS, _MOST_CARDS = 12, 60


class Entry(NamedTuple):
    """A record in the lists of a site. ``label``, ``seed`` and ``score`` are those of a run."""

    kind: str
    id: str
    started: str
    task: str
    configurations: str
    outcome: str
    status: str
    machine: str
    label: str = ""
    seed: int | None = None
    score: str = ""

    @property
    def page(self) -> str:
        """The address of the page, from the top of the site."""
        return f"{self.kind}/{self.id}.html"


class Answer(NamedTuple):
    """A question about a task on one machine, and its answer; ``target`` is the address of the details."""

    task: str
    question: str
    answer: str
    where: str
    target: str


def task_address(task: str) -> str:
    """Return the address of the page of a task."""
    return f"tasks/{slug(task)}.html"


def question(comparison: Comparison) -> str:
    """Return the question that a comparison answers."""
    names = [summary.name for summary in comparison.summaries]
    if len(names) == 1:
        return f"How well and how fast does {names[0]} train?"
    if comparison.group.is_of_settings:
        return f"Which of {len(names)} settings is best?"
    return f"Which of {len(names)} configurations is fastest, and do they learn equally well?"


def task_page(
    task: str,
    entries: Sequence[Entry],
    runs: Iterable[Record],
    duels: Sequence[DuelRecord],
    results: Path,
    layout: Layout,
) -> tuple[str, list[Answer]]:
    """Return the page of a task, and its answers; ``entries`` are its records of all kinds, newest first."""
    findings = find(map(Run.of, runs), sections_from([results]), duels=duels)
    sections = [section for section in findings.sections if section.task == task]
    findings = dataclasses.replace(findings, sections=sections, results=results)
    address = task_address(task)
    answers = [
        Answer(
            task,
            question(group.comparison),
            headline(group.comparison),
            f"{where_text(group.comparison.group)}; {basis_text(group.comparison)}",
            f"{address}#comparison-{number}",
        )
        for number, group in enumerate(findings.groups[:SHOWN_GROUPS], 1)
    ]
    answers += [
        Answer(task, section.title, section.sentence, "", f"{address}#{section.prefix}-{number}")
        for number, section in enumerate(sections, 1)
    ]
    document = findings_document(findings)
    others = [each for each in entries if each.kind != "runs"]
    nodes: list[Node] = [
        *_seeds(entries),
        Section("Duels, gates and studies", [records_table(others)] if others else [], "others"),
        *document.nodes,
    ]
    return layout.page(address, Document("", task, nodes, [task], document.meta, contents=True)), answers


def _seeds(entries: Sequence[Entry]) -> list[Node]:
    """Return the test score of each configuration and seed, each linked to its newest record."""
    scores: dict[str, dict[int, Entry]] = {}
    for each in entries:
        if each.seed is not None and each.status == "ok":
            scores.setdefault(each.label, {}).setdefault(each.seed, each)  # the newest first
    seeds = sorted({seed for row in scores.values() for seed in row})
    shown = seeds[:_MOST_SEEDS]
    rows: list[Row] = [
        {
            "configuration": label,
            **{
                f"seed {seed}": Cell(row[seed].score, address=row[seed].page) if seed in row else NOTHING
                for seed in shown
            },
        }
        for label, row in sorted(scores.items())
    ]
    more = f"The first {len(shown)} of {len(seeds)} seeds." if len(seeds) > len(shown) else ""
    title = "Test score of the newest run of each backend and seed; each leads to its record"
    table = table_of(rows, title)
    return [Section("Backends and seeds", [table, Paragraph(more, "small")], "seeds")] if rows else []


def records_table(entries: Sequence[Entry]) -> Table:
    """Return the table of records, each linked to its page."""
    rows: list[Row] = [
        {
            "record": Cell(each.id, address=each.page),
            "kind": each.kind,
            "started": each.started[:16].replace("T", " "),
            "task": Cell(each.task, address=task_address(each.task)) if each.kind == "runs" else each.task,
            "configurations": each.configurations,
            "outcome": each.outcome,
            "status": each.status,
            "machine": each.machine,
        }
        for each in entries
    ]
    return table_of(rows, form="texts")


def start_page(
    entries: Sequence[Entry],
    answers: Sequence[Answer],
    changed: Sequence[Item],
    problems: Sequence[str],
    layout: Layout,
) -> str:
    """Return the start: what changed lately, each task's question and answer, and the newest records."""
    cards = [
        Card(
            (Span(answer.task, "link", target=answer.target), f": {answer.question}"),
            [Paragraph(answer.answer), Paragraph(answer.where, "small")],
        )
        for answer in answers[:_MOST_CARDS]
    ]
    more = len(answers) - _MOST_CARDS
    empty = (
        "There are no records yet. Make one with `harness run --backend torch --task cnn`, and publish again."
    )
    nodes: list[Node] = [
        Paragraph("" if entries or problems else empty),
        Items(changed, "What changed lately", id="changes"),
        Section(
            "Answers",
            [Cards(cards), Paragraph(f"{more} more answers are on the pages of the tasks." * (more > 0))],
            "answers",
        )
        if cards
        else Items([]),
        Section("Newest records", [records_table(entries[:10])], "newest") if entries else Items([]),
        Items([Item(problem, tone="unsure") for problem in problems], "Not published", id="not-published"),
    ]
    kinds: dict[str, int] = {}
    for each in entries:
        kinds[each.kind] = kinds.get(each.kind, 0) + 1
    meta = [f"{count:,} {kind}" for kind, count in kinds.items()]
    return layout.page("index.html", Document("", layout.site, nodes, meta=meta))


def records_page(entries: Sequence[Entry], layout: Layout) -> str:
    """Return the list of all records, newest first, with its filter."""
    lead = Markup('<p><label>Filter <input type="search" id="filter"></label></p>')
    nodes: list[Node] = [records_table(entries)] if entries else []
    return layout.page("records.html", Document("", "Records", nodes), lead)
