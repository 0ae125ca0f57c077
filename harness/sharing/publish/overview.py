"""The start page of a site, and its pages of tasks, machines and all records."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from harness.core.documents.document import (
    Card,
    Cards,
    Cell,
    Document,
    Folded,
    Items,
    Node,
    Paragraph,
    Row,
    Section,
    Span,
    Table,
    Tone,
    table_of,
)
from harness.core.documents.escaping import one_line
from harness.core.documents.numbers import NOTHING, counted, machine_text
from harness.learning.runs.findings import read_findings
from harness.learning.runs.page import findings_document
from harness.learning.runs.sentences import headline
from harness.sharing.publish.branch import Branch, changes_table, gates_table
from harness.sharing.publish.index import Answer, Entry

#: The newest runs of a task that its page compares, and rows of lists; older ones are among all records.
MOST_RUNS, _MOST_ROWS, _LATEST = 300, 200, 10
_TONES: Mapping[str, Tone] = {"ok": "", "running": "muted", "interrupted": "unsure", "unsupported": "unsure"}


def address_of(folder: str, name: str) -> str:
    """Return the address of the page of a task or a machine, which follows from its name alone."""
    import hashlib

    short = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:60]
    number = hashlib.sha256(name.encode()).hexdigest()[:4]
    return f"{folder}/{short}.html" if short == name else f"{folder}/{short or folder}-{number}.html"


def records_table(entries: Iterable[Entry], top: str, title: str = "") -> Table:
    """Return a row for each record, with a link to its page."""
    rows: list[Row] = [
        {
            "record": Cell(each.time[:10] or each.name, address=f"{top}/{each.page}"),
            "kind": each.kind,
            "of": one_line(each.task) or NOTHING,
            "configurations": one_line(each.configurations) or NOTHING,
            "outcome": Cell(one_line(each.outcome) or each.status, _TONES.get(each.status, "bad")),
        }
        for each in entries
    ]
    return table_of(rows, title, form="texts")


def task_page(task: str, entries: Sequence[Entry], results: Path) -> tuple[Document, list[Answer]]:
    """Return the page of a task, the comparison of its newest runs beside its other records, and its answers.

    ``results`` is the folder of the copies of the records.
    """
    runs = [each for each in entries if each.kind == "run"][:MOST_RUNS]
    others = [each for each in entries if each.kind != "run"]
    beside = [
        Section(
            "Duels, gates, studies and other records",
            [records_table(others[:_MOST_ROWS], "..")],
            "beside",
            "Other records",
        ),
        Section("Runs", [records_table(runs[:_MOST_ROWS], "..")], "all-runs", "Runs"),
    ]
    if not runs:
        return Document("task", task, beside), []
    findings = read_findings([str(results / f"runs/{each.name}.json") for each in runs], results)
    document = findings_document(findings)
    answers = [
        Answer(
            title=group.comparison.group.title,
            machine=machine_text(group.comparison.group.record.machine),
            text=headline(group.comparison),
            compares=bool(group.comparison.pairs),
        )
        for group in findings.groups
    ]
    page = msgspec.structs.replace(
        document, title=task, headline=[task], kind="task", nodes=[*document.nodes, *beside]
    )
    return page, answers


def machine_page(machine: str, entries: Sequence[Entry]) -> Document:
    """Return the newest records of a machine."""
    more = len(entries) - _MOST_ROWS
    rest = f"{more} older ones are among all records." if more > 0 else ""
    table = records_table(entries[:_MOST_ROWS], "..")
    return Document("machine", machine, [table, Paragraph(rest)], meta=[counted(len(entries), "record")])


def start_page(
    title: str, answers: Mapping[str, Sequence[Answer]], entries: Sequence[Entry], branch: Branch
) -> Document:
    """Return the start page: the answer of each task, what changed lately, and where everything is."""
    readable = [each for each in entries if not each.fault]
    faults = [each.fault for each in entries if each.fault]
    others = [each for each in readable if each.kind not in {"run", "gate"}]
    gates = [each for each in readable if each.kind == "gate"]
    machines = dict.fromkeys(each.machine for each in readable if each.machine)
    kinds: dict[str, int] = {}
    for each in readable:
        kinds[each.kind] = kinds.get(each.kind, 0) + 1
    nodes: list[Node] = [
        Paragraph(
            "" if entries else "No records yet: run a command such as `harness run` or `harness gate`."
        ),
        Section("Tasks", [Cards(_cards(answers))], "tasks"),
        Section("Changed lately", _changed(branch), "changed", "Changes"),
        Section("Gates", [gates_table(gates[:_LATEST], ".")], "gates"),
        Section(
            "Duels, studies and ports", [records_table(others[:_LATEST], ".")], "latest", "Other records"
        ),
        Section(
            "Machines",
            [Items([(Span(each, "link", target=f"./{address_of('machines', each)}"),) for each in machines])],
            "machines",
        ),
        Folded("Files that cannot be read", [Items(faults)], "faults", len(faults)),
    ]
    counts = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    newest = [f"newest record {max(each.time for each in readable)[:10]}"] if readable else []
    return Document("site", title, nodes, meta=[*filter(None, [counts]), *newest], contents=True)


def _changed(branch: Branch) -> list[Node]:
    if not branch.series:
        return []
    found = branch.changes
    everything = (Span("All series of the branch", "link", target="./branch.html"),)
    nothing = "" if found else "No change of level in any series."
    return [Paragraph(nothing), changes_table(branch, found[:_LATEST], "."), Paragraph(everything)]


def _cards(answers: Mapping[str, Sequence[Answer]]) -> list[Card]:
    """Return a card for each task: the answers of its comparisons, or of its configurations alone."""
    cards = []
    for task, of_task in answers.items():
        compared = [each for each in of_task if each.compares] or list(of_task)
        nodes: list[Node] = []
        for each in compared[:3]:
            nodes += [Paragraph(each.text), Paragraph(f"{each.title}; {each.machine}", "small")]
        title = (Span(task, "link", target=f"./{address_of('tasks', task)}"),)
        cards.append(Card(title, nodes))
    return cards


def search_page(count: int) -> Document:
    """Return the page on which all records are searched; its script fills it."""
    return Document("records", "All records", [], meta=[counted(count, "record")])


def search_data(entries: Sequence[Entry]) -> str:
    """Return a script with what is searched: for each record its page, date, kind, work and outcome."""
    rows = [
        [
            *(each.name, each.time[:16].replace("T", " "), each.kind, each.task, each.configurations),
            *(each.outcome or each.status, each.machine),
        ]
        for each in entries
        if not each.fault
    ]
    return f"const RECORDS = {json.dumps(rows, ensure_ascii=False, separators=(',', ':'))};\n"
