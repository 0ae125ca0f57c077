"""What of an opened bundle a command would run, and the question whether it may."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.documents.circumstances import command_line
from harness.core.documents.contents import SourceFile, read_source
from harness.core.documents.document import Document, Facts, Items, Node, Paragraph, Section, Table
from harness.core.documents.kinds import Envelope
from harness.core.documents.render.terminal import terminal_text
from harness.core.plugins.configuration import Configuration
from harness.core.shell.printing import echo, print_error_line
from harness.errors import UsageError

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
            _section("Commands", [Items([each.command for each in self.records])]),
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
        for key, value in _leaves(record):
            if _INTERPRETER.search(key) and os.sep in value:
                interpreters[value] = None
        for key, value in _set_variables(record):
            variables.setdefault(key, set()).add(value)
        if isinstance(record, Envelope):
            for distribution, version in record.distributions.items():
                requirements.setdefault(distribution, set()).add(version)
            shown.append(BundleRecord(name, command_line(record), record.sources))
    callables = list(dict.fromkeys(targets))
    return Offer(bundle, shown, callables, requirements, [*interpreters], variables, results)


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts of a record with the names of their fields."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _leaves(each, str(name))
    elif isinstance(value, list | tuple | set):
        for each in value:
            yield from _leaves(each, key)
    elif fields := getattr(value, "__struct_fields__", ()):
        for name in fields:
            yield from _leaves(getattr(value, name), name)


def configurations_in(value: Any) -> Iterator[Configuration]:
    """Yield the configurations that a record, or a part of one, has."""
    if isinstance(value, Configuration):
        yield value
        return
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for part in [*parts, *(getattr(value, name) for name in getattr(value, "__struct_fields__", ()))]:
        yield from configurations_in(part)


def _set_variables(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield the environment variables that a record's processes had, from fields such as ``variables``."""
    if isinstance(value, Mapping):
        if key.endswith("variables"):
            yield from ((str(name), str(each)) for name, each in value.items())
        for name, each in value.items():
            yield from _set_variables(each, str(name))
    elif isinstance(value, list | tuple):
        if key.endswith("variables"):
            yield from ((str(each[0]), str(each[1])) for each in value if isinstance(each, list | tuple))
        else:
            for each in value:
                yield from _set_variables(each)
    elif fields := getattr(value, "__struct_fields__", ()):
        for name in fields:
            yield from _set_variables(getattr(value, name), name)


def confirmation(*, yes: bool) -> Callable[[Offer], None]:
    """Return a function that shows an offer and returns if the user agrees to it; ``yes`` agrees to any.

    The function raises UsageError if the user does not agree, or cannot be asked.
    """

    def confirm(offered: Offer) -> None:
        print_error_line(terminal_text(offered.document()))
        if yes:
            return
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(
                f"{offered.bundle} was not opened: nobody can be asked here whether its code may run. "
                "Read what is shown above, and add --yes to agree"
            )
        while (answer := _answer()) == "s":
            for source in offered.sources.values():
                print_error_line(f"\n# {source.path}, sha256 {source.sha256}")
                echo(_content(offered.results, source), err=True)
        if answer != "y":
            raise UsageError(f"{offered.bundle} was not opened; nothing of it was run or installed")

    return confirm


def _answer() -> str:
    print_error_line("Run this? [y: yes, n: no, s: show the code]")
    try:
        return sys.stdin.readline().strip().lower()[:1]
    except UnicodeDecodeError:
        return "n"


def _content(results: Path, source: SourceFile) -> str:
    try:
        return read_source(results, source).decode(errors="replace")
    except UsageError as error:
        return str(error)
