"""What of an opened bundle a command would run."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.documents.circumstances import command_line
from harness.core.documents.contents import SourceFile
from harness.core.documents.document import Document, Facts, Items, Node, Paragraph, Section, Table
from harness.core.documents.kinds import Envelope

_TRUST = "Its code would run as you. Go on only if you trust the sender as you trust the author of a program."
_INTERPRETER = re.compile(r"(^|_)python$")


class Offer(NamedTuple):
    """What a bundle would have a command run, install or set.

    ``callables`` are the targets that its records name, which need not be in its code: ``os:system`` is one.
    ``requirements`` are the versions that its records name. ``results`` is the unpacked folder of results.
    """

    bundle: str
    commands: list[str]
    callables: list[str]
    sources: list[SourceFile]
    requirements: list[str]
    interpreters: list[str]
    variables: dict[str, str]
    results: Path

    def document(self) -> Document:
        """Return the document that shows all of it."""
        sources = [[each.path, f"{each.bytes:,}", each.sha256[:12]] for each in self.sources]
        nodes: list[Node] = [
            _section("Commands", Items(self.commands)),
            _section("Called by name", Items(self.callables)),
            _section("Code", Table(("file", "bytes", "sha256"), sources, form="texts")),
            _section("Requirements of its environment", Paragraph(", ".join(self.requirements))),
            _section("Interpreters", Items(self.interpreters)),
            _section("Environment variables", Facts(self.variables)),
            Paragraph(_TRUST),
        ]
        headline = f"{self.bundle} would have harness run what is below, as you."
        return Document("bundle", "Bundle", nodes, headline=[headline])


def _section(title: str, node: Node) -> Section:
    return Section(title, [node], announced=True)


def offer(bundle: str, results: Path, records: Iterable[Any], targets: Iterable[str]) -> Offer:
    """Return what the ``records`` of a bundle, which name these ``targets``, would have a command run."""
    requirements, interpreters = set[str](), dict[str, None]()
    variables: dict[str, set[str]] = {}
    commands, sources = dict[str, None](), dict[tuple[str, str], SourceFile]()
    for record in records:
        for key, part in parts_of(record):
            if isinstance(part, str) and _INTERPRETER.search(key) and os.sep in part:
                interpreters[part] = None
            for name, value in _variables(key, part):
                variables.setdefault(name, set()).add(value)
        if isinstance(record, Envelope):
            requirements |= {f"{name}=={version}" for name, version in record.distributions.items()}
            commands[command_line(record)] = None
            sources |= {(each.path, each.sha256): each for each in record.sources}
    return Offer(
        bundle,
        [*commands],
        [*dict.fromkeys(targets)],
        [*sources.values()],
        sorted(requirements),
        [*interpreters],
        {name: ", ".join(sorted(values)) for name, values in sorted(variables.items())},
        results,
    )


def _variables(key: str, part: Any) -> Iterable[tuple[str, str]]:
    """Return the environment variables of a field such as ``worker_variables``."""
    if not key.endswith("variables"):
        return ()
    if isinstance(part, Mapping):
        return part.items()
    return [part] if isinstance(part, tuple) and [type(each) for each in part] == [str, str] else ()


_SCALARS = (str, int, float, type(None))


def parts_of(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a record and all parts of it, each with the name of its field.

    The items of a list have the name of the list.
    """
    remaining = [(key, value)]
    while remaining:
        name, part = remaining.pop()
        yield name, part
        if not isinstance(part, _SCALARS):
            remaining += reversed(_inner(part, name))


def _inner(value: Any, key: str) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(str(name), each) for name, each in value.items()]
    if isinstance(value, list | tuple | set) and not hasattr(value, "__struct_fields__"):
        return [(key, each) for each in value]
    return [(name, getattr(value, name)) for name in getattr(value, "__struct_fields__", ())]
