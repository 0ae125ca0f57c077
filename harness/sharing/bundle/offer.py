"""What of an opened bundle a command would run."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.documents.circumstances import command_line
from harness.core.documents.contents import SourceFile
from harness.core.documents.document import Document, Facts, Items, Node, Paragraph, Section, Table
from harness.core.documents.kinds import Envelope
from harness.sharing.bundle.parts import texts_of, variables_of

ACCIDENTS = (
    "The checksums of a bundle show accidents, not forgery: whoever made it could write all of it, and its "
    "code would run as you. Go on only if you trust the sender as you trust the author of a program."
)
_INTERPRETER = re.compile(r"(^|_)python$")


class BundleRecord(NamedTuple):
    """A record of a bundle: its name, the command that made it, and its source files."""

    name: str
    command: str
    sources: list[SourceFile]


class Offer(NamedTuple):
    """What a bundle would have a command run, install or set.

    ``callables`` are the targets that its records name, which need not be in its code: ``os:system`` is one.
    ``requirements`` are the versions of the distributions that its records name, ``interpreters`` the
    programs, ``variables`` the environment variables, by name. ``results`` is the unpacked folder of results.
    """

    bundle: str
    records: list[BundleRecord]
    callables: list[str]
    requirements: dict[str, set[str]]
    interpreters: list[str]
    variables: dict[str, set[str]]
    results: Path

    @property
    def sources(self) -> dict[str, SourceFile]:
        """The source files by path and hash."""
        return {f"{each.path} {each.sha256}": each for record in self.records for each in record.sources}

    def document(self) -> Document:
        """Return the document that shows all of it."""
        sources = [[each.path, f"{each.bytes:,}", each.sha256[:12]] for each in self.sources.values()]
        requirements = [
            f"{name}=={version}"
            for name, versions in sorted(self.requirements.items())
            for version in sorted(versions)
        ]
        variables = {name: ", ".join(sorted(values)) for name, values in sorted(self.variables.items())}
        nodes: list[Node] = [
            _section("Commands", [Items(list(dict.fromkeys(each.command for each in self.records)))]),
            _section("Called by name", [Items(self.callables)]),
            _section("Code", [Table(("file", "bytes", "sha256"), sources, form="texts")]),
            _section("Requirements of its environment", [Paragraph(", ".join(requirements))]),
            _section("Interpreters", [Items(self.interpreters)]),
            _section("Environment variables", [Facts(variables)]),
            Paragraph(ACCIDENTS),
        ]
        headline = f"{self.bundle} would have harness run what is below, as you."
        return Document("bundle", "Bundle", nodes, headline=[headline])


def _section(title: str, nodes: list[Node]) -> Section:
    return Section(title, nodes, announced=True)


def offer(bundle: str, results: Path, records: Mapping[str, Any], targets: Iterable[str]) -> Offer:
    """Return what the ``records`` of a bundle, by their names in it, would have a command run.

    ``targets`` are those of all records.
    """
    requirements: dict[str, set[str]] = {}
    interpreters: dict[str, None] = {}
    variables: dict[str, set[str]] = {}
    shown = []
    for name, record in records.items():
        for key, value in texts_of(record):
            if _INTERPRETER.search(key) and os.sep in value:
                interpreters[value] = None
        for key, value in variables_of(record):
            variables.setdefault(key, set()).add(value)
        if isinstance(record, Envelope):
            for distribution, version in record.distributions.items():
                requirements.setdefault(distribution, set()).add(version)
            shown.append(BundleRecord(name, command_line(record), record.sources))
    callables = list(dict.fromkeys(targets))
    return Offer(bundle, shown, callables, requirements, [*interpreters], variables, results)
