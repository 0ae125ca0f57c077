"""When, where and how a record came about: the end of its document, its command, and words of others."""

import itertools
import shlex
from collections.abc import Iterable, Iterator, Mapping

from harness.core.documents.document import (
    Command,
    Facts,
    Node,
    Only,
    Section,
)
from harness.core.documents.escaping import one_line
from harness.core.documents.kinds import Envelope
from harness.core.documents.numbers import machine_text


def started(record: Envelope) -> str:
    """``2026-01-31 12:00 UTC``."""
    return f"{record.started_at[:16].replace('T', ' ')} UTC"


def command_line(record: Envelope) -> str:
    """The command that made the record, as a shell takes it."""
    return shlex.join(["harness", *record.command])


def shell_line(words: Iterable[str]) -> str:
    """The words of a command in one line, quoted where a shell needs it."""
    return " ".join(shlex.quote(one_line(word)) for word in words)


def option_words(options: Mapping[str, object]) -> Iterator[str]:
    """``--name value`` for each option that has a value; for each value of a list."""
    for name, value in options.items():
        values = value if isinstance(value, list) else [value] * bool(value)
        for each in values:
            yield from (f"--{name}", str(each))


def given_again(record: Envelope, name: str) -> list[str]:
    """The values of an option as the record's command has them: its plugin files define names in others."""
    return [
        value if sign else following
        for word, following in itertools.pairwise([*record.command, ""])
        for option, sign, value in [word.partition("=")]
        if option == f"--{name}"
    ]


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
