"""When, where and how a record came about: the end of its document, and what comes from its envelope."""

import shlex

from harness.report.document import Command, Facts, Node, Only, Section
from harness.report.escaping import one_line
from harness.report.numbers import machine_text
from harness.runs.documents import Envelope


def started(record: Envelope) -> str:
    """``2026-01-31 12:00 UTC``."""
    return f"{record.started_at[:16].replace('T', ' ')} UTC"


def command_line(record: Envelope) -> str:
    """The command that made the record, as a shell takes it."""
    return shlex.join(["harness", *record.command])


def show_command(record: Envelope) -> Command:
    """The command that prints the record."""
    return Command(f"harness show {record.id}")


def filled_facts(**texts: str) -> dict[str, str]:
    """Names with their texts in one line each, without those that are empty."""
    return {name: one_line(text) for name, text in texts.items() if text}


def circumstances(record: Envelope, method: Node, **texts: str) -> Only:
    """The last section of a document: the method on a page, the machine, the command and further facts."""
    facts = filled_facts(machine=machine_text(record.machine), command=command_line(record), **texts)
    nodes: list[Node] = [Only(("page",), [method]), Facts(facts), show_command(record)]
    return Only(("page", "markdown"), [Section("Method and circumstances", nodes, "method")])
