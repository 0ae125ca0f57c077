"""Circumstances of a record: when, where and by which command it came about; the end of its document."""

import itertools
import shlex
from collections.abc import Iterable, Iterator, Mapping

from harness.core.documents.document import Command, Facts, Node, Only, Section
from harness.core.documents.escaping import one_line
from harness.core.documents.kinds import Envelope
from harness.core.documents.numbers import machine_text


def started(record: Envelope) -> str:
    """Return the time at which the record was started: ``2026-01-31 12:00 UTC``."""
    return f"{record.started_at[:16].replace('T', ' ')} UTC"


def command_line(record: Envelope) -> str:
    """Return the command that made the record, quoted for a shell."""
    return shlex.join(["harness", *record.command])


def shell_line(words: Iterable[str]) -> str:
    """Join ``words`` to a command in one line, each quoted if a shell needs it."""
    return " ".join(shlex.quote(one_line(word)) for word in words)


def option_words(options: Mapping[str, object]) -> Iterator[str]:
    """Yield ``--name value`` for each option that has a value; of a list, for each of its values."""
    for name, value in options.items():
        values = value if isinstance(value, list) else [value] * bool(value)
        for each in values:
            yield from (f"--{name}", str(each))


def given_again(record: Envelope, name: str) -> list[str]:
    """Return the values of the option ``name`` in the record's command, for a command that repeats them."""
    return [
        value if sign else following
        for word, following in itertools.pairwise([*record.command, ""])
        for option, sign, value in [word.partition("=")]
        if option == f"--{name}"
    ]


def show_command(record: Envelope) -> Command:
    """Return the command that prints the record."""
    return Command(f"harness show {record.id}")


def filled_facts(**texts: str) -> dict[str, str]:
    """Return the texts that are not empty, each on one line, by name."""
    return {name: one_line(text) for name, text in texts.items() if text}


def circumstances(record: Envelope, method: Node, **texts: str) -> Only:
    """Return the last section of a document: ``method`` on a page, the machine, the command and ``texts``."""
    facts = filled_facts(machine=machine_text(record.machine), command=command_line(record), **texts)
    nodes: list[Node] = [Only(("page",), [method]), Facts(facts), show_command(record)]
    return Only(("page", "markdown"), [Section("Method and circumstances", nodes, "method")])
