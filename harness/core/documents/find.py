"""Results of every kind: the kind of a file, and the file that a name refers to.

A new kind of result is an entry of :data:`KINDS`, and one of the views in
:mod:`harness.core.documents.views`.
"""

import datetime
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from harness.core.documents.kinds import (
    Identified,
    RecordKind,
    UnreadableRecord,
)
from harness.core.machine.files import (
    is_file,
    is_folder,
    read_file,
)
from harness.core.runs.record import Record
from harness.core.runs.store import RUNS, results_option
from harness.errors import UsageError
from harness.learning.study.record import STUDIES
from harness.port.record import PORTS
from harness.timing.bisect.record import BISECTIONS
from harness.timing.duel.record import DUELS, TIMES
from harness.timing.gate.record import GATES

_D = TypeVar("_D", bound=Identified)

KINDS: tuple[RecordKind[Any], ...] = (RUNS, DUELS, GATES, STUDIES, PORTS, TIMES, BISECTIONS)
#: The field of each kind that no other has, unread.
_Marks = msgspec.defstruct("_Marks", [(kind.mark, msgspec.Raw, msgspec.Raw()) for kind in KINDS])
_MAKE_ONE = "make one with: harness run --backend torch --task cnn"
_TIME = re.compile(r"\d{8}-\d{6}")


class Result(NamedTuple):
    """A file and its kind; it may still be unreadable."""

    kind: RecordKind[Any]
    path: Path

    @property
    def time(self) -> str:
        """When it was made, in UTC: from its name, or else when the file changed."""
        if _TIME.match(self.path.stem):
            return self.path.stem
        changed = self.path.lstat().st_mtime  # of the link itself, which may be dangling
        return f"{datetime.datetime.fromtimestamp(changed, datetime.UTC):%Y%m%d-%H%M%S}"


def kind_of(path: Path) -> RecordKind[Any]:
    """The kind of record in a file, by its content: the artefact of a CI job may lie in any folder.

    Raises:
        UnreadableRecord: the file cannot be read, or holds no record.
    """
    try:
        marks = msgspec.json.decode(read_file(path), type=_Marks)
    except OSError as error:
        raise UnreadableRecord(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        form = "record" if path.suffix == ".json" else "JSON"
        raise UnreadableRecord(f"{path} is not a readable {form} file: {error}") from error
    for kind in KINDS:
        if bytes(getattr(marks, kind.mark)):
            return kind
    names = ", ".join(kind.name for kind in KINDS)
    raise UnreadableRecord(f"{path} is not a record of any kind ({names})")


def result_in(path: Path) -> Result:
    """The result in a file; one in a folder of runs is not read, since there may be thousands of them.

    Raises:
        UnreadableRecord: see :func:`kind_of`.
    """
    return Result(RUNS if path.parent.name == RUNS.folder else kind_of(path), path)


def read_each(kind: RecordKind[_D], paths: Sequence[Path]) -> Iterator[_D | UnreadableRecord]:
    """Each record of a kind, or its error; for another kind, the error names the command that prints it."""
    for path, outcome in zip(paths, kind.read_each(paths), strict=True):
        yield (_other_kind(path, kind) or outcome) if isinstance(outcome, UnreadableRecord) else outcome


def read_all(kind: RecordKind[_D], paths: Sequence[Path]) -> tuple[list[_D], list[str]]:
    """The readable records of a kind, and an error message for each other file; see :func:`read_each`."""
    outcomes = list(read_each(kind, paths))
    records = [each for each in outcomes if not isinstance(each, UnreadableRecord)]
    return records, [str(each) for each in outcomes if isinstance(each, UnreadableRecord)]


def _other_kind(path: Path, wanted: RecordKind[Any]) -> UnreadableRecord | None:
    try:
        actual = kind_of(path)
    except UnreadableRecord:
        return None
    if actual is wanted:
        return None
    return UnreadableRecord(
        f"{path} is a {actual.name}, not a {wanted.name}; print it with: harness show {path}"
    )


def results_in(results: Path) -> list[Result]:
    """The results in a folder, oldest first."""
    unsorted = [Result(kind, path) for kind in KINDS for path in kind.paths(results)]
    return sorted(unsorted, key=lambda result: result.time)


def find_result(results: Path, name: str) -> Result:
    """The result named by a path, an id or the beginning of an id.

    Raises:
        UsageError: none matches, or more than one.
    """
    if is_file(name):
        return result_in(Path(name))
    beginning = name.removesuffix(".json")
    every = _some(results_in(results), results)
    matches = [result for result in every if result.path.stem.startswith(beginning)]
    exact = [result for result in matches if result.path.stem == beginning]
    if not matches:
        command = f"harness list results{results_option(results)}"
        raise UsageError(f"unknown record {name!r}. List the records with: {command}")
    if len(matches) > 1 and not exact:
        raise UsageError(
            f"{name!r} matches {len(matches)} records; give more of the id, such as {matches[-1].path.stem}"
        )
    return (exact or matches)[0]


def named_run(results: Path, name: str) -> tuple[Record, Path]:
    """The run named by a path, an id, the beginning of an id or ``last``, and its file.

    Raises:
        UsageError: there is no such run, or the file cannot be read.
    """
    if name == "last":
        runs = [record for record in RUNS.read_each(RUNS.paths(results)) if isinstance(record, Record)]
        if not runs:
            raise UsageError(f"no runs in {results}; {_MAKE_ONE}")
        return runs[-1], results / RUNS.folder / f"{runs[-1].id}.json"
    kind, path = find_result(results, name)
    if kind is not RUNS:
        raise UsageError(f"{path} is a {kind.name}, and a run is needed")
    return RUNS.read(path), path


def last_result(results: Path) -> tuple[Result, Any, list[UnreadableRecord]]:
    """The newest readable result, its record, and the errors of newer files.

    Raises:
        UsageError: there is no file.
        UnreadableRecord: no file is readable; the error of the newest one.
    """
    unreadable: list[UnreadableRecord] = []
    for result in reversed(_some(results_in(results), results)):
        try:
            return result, result.kind.read(result.path), unreadable
        except UnreadableRecord as error:
            unreadable.append(error)
    raise unreadable[0]


def _some(every: list[Result], results: Path) -> list[Result]:
    if not every:
        raise UsageError(f"no records in {results}; {_MAKE_ONE}")
    return every


#: Results in a sentence, where the name of their kind is that of a command and no noun.
_NOUNS = {TIMES.name: ("timing of a step", "timings of steps"), PORTS.name: ("port check", "port checks")}


def no_runs(results: Path) -> UsageError:
    """The error for a folder without runs; names its other results, and how to print and write the newest."""
    others = []
    for kind in KINDS:
        if count := len(kind.paths(results)):
            one, several = _NOUNS.get(kind.name, (kind.name, kind.folder))
            others.append(f"{count} {one if count == 1 else several}")
    if not others:
        return UsageError(f"no records in {results / RUNS.folder}; {_MAKE_ONE}")
    *first, last = others
    beside = f"{', '.join(first)} and {last}" if first else last
    where = results_option(results)
    return UsageError(
        f"no runs in {results / RUNS.folder}, but {beside} beside it. Print the newest with: "
        f"harness show last{where}; write its page with: harness report last{where} --to page.html"
    )


def separated(arguments: Iterable[str], results: Path) -> tuple[list[Result], list[str]]:
    """The arguments that name a result other than a run, as results; and the remaining arguments.

    Raises:
        UsageError: see :func:`find_result`.
    """
    others: dict[Path, Result] = {}
    remaining = []
    for argument in arguments:
        named = _named(argument, results)
        if named is None or named.kind is RUNS:
            remaining.append(argument)
        else:
            others[named.path] = named
    return list(others.values()), remaining


def _named(argument: str, results: Path) -> Result | None:
    """None for a filter or a folder."""
    if argument == "last":
        return last_result(results)[0]
    if is_file(argument):
        return result_in(Path(argument))
    if "=" in argument or is_folder(argument):
        return None
    return find_result(results, argument)
