"""The pages above the records: the start, tasks, machines, and the list of all records to be searched."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec
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
from harness.core.documents.escaping import visible_json
from harness.core.documents.numbers import NOTHING, counted
from harness.core.runs.record import Record
from harness.learning.runs.comparison import Comparison
from harness.learning.runs.findings import find
from harness.learning.runs.page import findings_document
from harness.learning.runs.run_curves import Run
from harness.learning.runs.sections import sections_from
from harness.learning.runs.sentences import SHOWN_GROUPS, basis_text, headline, where_text
from harness.sharing.publish.index import Answer, Entry
from harness.sharing.publish.layout import Layout, slug
from harness.timing.duel.record import DuelRecord

#: Rows of a list without scripts, rows of a script with records, and seeds beside each other.
_MOST_ROWS, _ROWS_OF_SCRIPT, _MOST_SEEDS = 100, 1000, 12
_MOST_CARDS = 60


def task_address(task: str) -> str:
    """Return the address of the page of a task."""
    return f"tasks/{slug(task)}.html"


def machine_address(machine: str) -> str:
    """Return the address of the page of a machine."""
    return f"machines/{slug(machine)}.html"


def question(comparison: Comparison) -> str:
    """Return the question that a comparison answers."""
    names = [summary.name for summary in comparison.summaries]
    if len(names) == 1:
        return f"How well and how fast does {names[0]} train?"
    if comparison.group.is_by_quality:
        return f"Which of {len(names)} settings is best?"
    return f"Which of {len(names)} configurations is fastest, and do they learn equally well?"


def task_pages(
    task: str,
    entries: Sequence[Entry],
    runs: Iterable[Record],
    duels: Sequence[DuelRecord],
    folder: Path,
    layout: Layout,
) -> tuple[dict[str, str], list[Answer]]:
    """Return the files of a task's page, and its answers.

    ``entries`` are its records of all kinds; ``folder`` is that of the site, which has studies and images.
    """
    findings = find(map(Run.of, runs), sections_from([folder]), duels=duels)
    sections = [section for section in findings.sections if section.task == task]
    findings = dataclasses.replace(findings, sections=sections, results=None)
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
    document = findings_document(dataclasses.replace(findings, results=folder))
    others = [each for each in entries if each.kind != "runs"]
    nodes: list[Node] = [
        *_seeds(entries),
        Section("Duels, gates and studies", [records_table(others[:_MOST_ROWS])], "others")
        if others
        else Items([]),
        *document.nodes,
        _all_records(f"task={task}", len(entries)),
    ]
    named = Document("", task, nodes, [task], document.meta, contents=True)
    files = layout.page(address, named)
    hidden = f" --results {folder}"
    return {name: text.replace(hidden, "") for name, text in files.items()}, answers


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


def _all_records(query: str, count: int) -> Node:
    link = Span(counted(count, "record"), "link", target=f"records.html?{_quoted(query)}")
    return Paragraph(("Search all ", link, "."))


def _quoted(query: str) -> str:
    name, _, value = query.partition("=")
    return f"{name}={quote(value, safe='')}"


def records_table(entries: Sequence[Entry], title: str = "") -> Table:
    """Return the table of records, each linked to its page."""
    rows: list[Row] = [
        {
            "record": Cell(each.id, address=each.page),
            "kind": each.kind,
            "started": _day(each),
            "task": Cell(each.task, address=task_address(each.task)) if each.kind == "runs" else each.task,
            "configurations": each.configurations,
            "outcome": each.outcome,
        }
        for each in entries
    ]
    return table_of(rows, title, form="texts")


def _day(entry: Entry) -> str:
    return entry.started[:16].replace("T", " ")


def start_page(
    entries: Sequence[Entry],
    answers: Sequence[Answer],
    changed: Sequence[Item],
    problems: Sequence[Entry],
    layout: Layout,
) -> dict[str, str]:
    """Return the start: what changed lately, each task's question and answer, and the newest records."""
    by_task: dict[str, list[Card]] = {}
    for answer in answers[:_MOST_CARDS]:
        title = (Span(answer.task, "link", target=answer.target), f": {answer.question}")
        small: list[Node] = [Paragraph(answer.where, "small")] if answer.where else []
        by_task.setdefault(answer.task, []).append(Card(title, [Paragraph(answer.answer), *small]))
    cards = [card for of_task in by_task.values() for card in of_task]
    more = len(answers) - _MOST_CARDS
    empty = (
        "There are no records yet. Make one with `harness run --backend torch --task cnn`, and publish again."
    )
    branch = Span("All gates, by benchmark and metric", "link", target="branch/index.html")
    nodes: list[Node] = [
        Paragraph("" if entries or problems else empty),
        Section("What changed lately", [Items(changed), Paragraph((branch, "."))], "changes")
        if changed
        else Items([]),
        Section(
            "Answers",
            [Cards(cards), Paragraph(f"{more} more answers are on the pages of the tasks." * (more > 0))],
            "answers",
        )
        if cards
        else Items([]),
        Section("Newest records", [records_table(entries[:10])], "newest") if entries else Items([]),
        unreadable(problems),
    ]
    kinds: dict[str, int] = {}
    for each in entries:
        kinds[each.kind] = kinds.get(each.kind, 0) + 1
    meta = [f"{count:,} {kind}" for kind, count in kinds.items()]
    dates = sorted(each.started[:10] for each in entries if each.started)
    meta += [" to ".join(dict.fromkeys((dates[0], dates[-1])))] if dates else []
    return layout.page("index.html", Document("", layout.site, nodes, meta=meta))


def unreadable(problems: Sequence[Entry]) -> Node:
    """Return the files that cannot be published, each with its reason."""
    items = [Item(each.problem, tone="unsure") for each in problems]
    return Section("Not published", [Items(items)], "not-published") if items else Items([])


def machine_pages(entries: Sequence[Entry], machine: str, layout: Layout) -> dict[str, str]:
    """Return the page of a machine: what was measured on it, and its newest records."""
    tasks: dict[str, int] = {}
    for each in entries:
        if each.kind == "runs":
            tasks[each.task] = tasks.get(each.task, 0) + 1
    rows: list[Row] = [
        {"task": Cell(task, address=task_address(task)), "runs": str(count)} for task, count in tasks.items()
    ]
    nodes: list[Node] = [
        table_of(rows, "Tasks that were trained on this machine"),
        Section("Newest records", [records_table(entries[:_MOST_ROWS])], "records"),
        _all_records(f"machine={machine}", len(entries)),
    ]
    return layout.page(machine_address(machine), Document("machine", machine, nodes))


def machines_page(machines: Mapping[str, int], layout: Layout) -> dict[str, str]:
    """Return the list of machines."""
    rows: list[Row] = [
        {"machine": Cell(machine, address=machine_address(machine)), "records": str(count)}
        for machine, count in machines.items()
    ]
    table = table_of(rows, "Machines, each with the number of its records")
    none = Paragraph("" if rows else "No record names a machine.")
    return layout.page("machines/index.html", Document("", "Machines", [none, table]))


def records_page(entries: Sequence[Entry], problems: Sequence[Entry], layout: Layout) -> dict[str, str]:
    """Return the list of all records with its search, the newest first, and the scripts with all rows."""
    rows = [
        [
            each.page,
            each.kind,
            _day(each),
            each.task,
            each.configurations,
            each.outcome,
            each.status,
            each.machine,
        ]
        for each in entries
    ]
    oldest_first = rows[::-1]  # so that another record changes the last script alone
    parts = [oldest_first[at : at + _ROWS_OF_SCRIPT] for at in range(0, len(rows), _ROWS_OF_SCRIPT)][::-1]
    files = {f"records/{len(parts) - 1 - at}.js": _script(part[::-1]) for at, part in enumerate(parts)}
    filters = Markup("").join(
        Markup('<label>{0} <select name="{0}"><option value="">all</option>{1}</select></label>').format(
            name,
            Markup("").join(Markup("<option>{}</option>").format(value) for value in values if value),
        )
        for name, values in {
            "kind": dict.fromkeys(each.kind for each in entries),
            "task": dict.fromkeys(each.task for each in entries),
            "machine": dict.fromkeys(each.machine for each in entries),
        }.items()
    )
    lines = Markup("").join(
        Markup('<tr><th scope="row"><a href="{}">{}</a></th>{}</tr>').format(
            each.page,
            each.id,
            Markup("").join(
                Markup("<td>{}</td>").format(text)
                for text in (_day(each), each.task, each.configurations, each.outcome, each.status)
            ),
        )
        for each in entries[:_MOST_ROWS]
    )
    heads = Markup("").join(
        Markup('<th scope="col">{}</th>').format(name)
        for name in ("record", "started", "task", "configurations", "outcome", "status")
    )
    lead = Markup(
        '<form class="filters" role="search" aria-label="Filter records"><label>Search <input type="search" '
        'name="q"></label>{}</form><p id="count" role="status">{}</p><div class="scroll" tabindex="0" '
        'role="region" aria-label="Records"><table class="texts" id="records" data-parts="{}" data-top="">'
        "<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>"
    ).format(filters, counted(len(rows), "record"), len(parts), heads, lines)
    document = Document("", "Records", [unreadable(problems)])
    return {**files, **layout.page("records.html", document, lead=lead)}


def _script(rows: Sequence[Sequence[str]]) -> str:
    return f"publishRows({visible_json(msgspec.json.encode(rows).decode())});\n"
