"""Finding records of every kind: the kind of a file, and the file that a name refers to."""

import datetime
import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from harness.core.documents.kinds import Identified, RecordKind, UnreadableRecord
from harness.core.documents.results import results_option
from harness.core.machine.files import is_file, is_folder, read_file
from harness.errors import UsageError

_D = TypeVar("_D", bound=Identified)
_MAKE_ONE = "make one with: harness run --backend torch --task cnn"
_TIME = re.compile(r"\d{8}-\d{6}")


class Result(NamedTuple):
    """A file and its kind; the file may still be unreadable."""

    kind: RecordKind[Any]
    path: Path

    @property
    def time(self) -> str:
        """The time of the record, in UTC: from the file's name, or else when the file changed."""
        if _TIME.match(self.path.stem):
            return self.path.stem
        changed = self.path.lstat().st_mtime  # of the link itself, which may be dangling
        return f"{datetime.datetime.fromtimestamp(changed, datetime.UTC):%Y%m%d-%H%M%S}"


class Records:
    """The records of several kinds, found by names, ids and files."""

    def __init__(self, kinds: Sequence[RecordKind[Any]]) -> None:
        self.kinds = tuple(kinds)

    @functools.cached_property
    def _marks(self) -> type[msgspec.Struct]:
        """A struct with the mark of each kind, which is not decoded."""
        return msgspec.defstruct("_Marks", [(kind.mark, msgspec.Raw, msgspec.Raw()) for kind in self.kinds])

    def kind_of(self, path: Path) -> RecordKind[Any]:
        """Determine the kind of a record by its content: an artefact of a CI job may lie in any folder."""
        try:
            marks = msgspec.json.decode(read_file(path), type=self._marks)
        except OSError as error:
            raise UnreadableRecord(f"{path} cannot be read: {error.strerror}") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            form = "record" if path.suffix == ".json" else "JSON"
            raise UnreadableRecord(f"{path} is not a readable {form} file: {error}") from error
        for kind in self.kinds:
            if bytes(getattr(marks, kind.mark)):
                return kind
        names = ", ".join(kind.name for kind in self.kinds)
        raise UnreadableRecord(f"{path} is not a record of any kind ({names})")

    def result_in(self, path: Path) -> Result:
        """Return the result in a file; a file in a folder of a numerous kind is not read."""
        folder = path.parent.name
        numerous = next((kind for kind in self.kinds if kind.numerous and kind.folder == folder), None)
        return Result(numerous or self.kind_of(path), path)

    def read_each(self, kind: RecordKind[_D], paths: Sequence[Path]) -> Iterator[_D | UnreadableRecord]:
        """Yield each record of ``kind``, or an error; for another kind it names the command to print it."""
        for path, outcome in zip(paths, kind.read_each(paths), strict=True):
            yield (
                (self._other_kind(path, kind) or outcome)
                if isinstance(outcome, UnreadableRecord)
                else outcome
            )

    def read_all(self, kind: RecordKind[_D], paths: Sequence[Path]) -> tuple[list[_D], list[str]]:
        """Read the records of ``kind``; return them, and a message for each other file."""
        outcomes = list(self.read_each(kind, paths))
        records = [each for each in outcomes if not isinstance(each, UnreadableRecord)]
        return records, [str(each) for each in outcomes if isinstance(each, UnreadableRecord)]

    def _other_kind(self, path: Path, wanted: RecordKind[Any]) -> UnreadableRecord | None:
        try:
            actual = self.kind_of(path)
        except UnreadableRecord:
            return None
        if actual is wanted:
            return None
        return UnreadableRecord(
            f"{path} is a {actual.name}, not a {wanted.name}; print it with: harness show {path}"
        )

    def results_in(self, results: Path) -> list[Result]:
        """Return the results in a folder, oldest first."""
        unsorted = [Result(kind, path) for kind in self.kinds for path in kind.paths(results)]
        return sorted(unsorted, key=lambda result: result.time)

    def find(self, results: Path, name: str) -> Result:
        """Find the result that is named by a path, an id or the beginning of an id."""
        if is_file(name):
            return self.result_in(Path(name))
        beginning = name.removesuffix(".json")
        every = self._some(results)
        matches = [result for result in every if result.path.stem.startswith(beginning)]
        exact = [result for result in matches if result.path.stem == beginning]
        if not matches:
            command = f"harness list results{results_option(results)}"
            raise UsageError(f"unknown record {name!r}. List the records with: {command}")
        if len(matches) > 1 and not exact:
            raise UsageError(
                f"{name!r} matches {len(matches)} records; give more of the id, such as "
                f"{matches[-1].path.stem}"
            )
        return (exact or matches)[0]

    def named(self, kind: RecordKind[_D], results: Path, name: str) -> tuple[_D, Path]:
        """Read the record of a kind that is named by a path, an id, the beginning of an id or ``last``."""
        if name == "last":
            records = [each for each in kind.read_each(kind.paths(results)) if isinstance(each, kind.type)]
            if not records:
                raise UsageError(f"no {kind.folder} in {results}; {_MAKE_ONE}")
            return records[-1], results / kind.folder / f"{records[-1].id}.json"
        actual, path = self.find(results, name)
        if actual is not kind:
            raise UsageError(f"{path} is a {actual.name}, and a {kind.name} is needed")
        return kind.read(path), path

    def last(self, results: Path) -> tuple[Result, Any, list[UnreadableRecord]]:
        """Read the newest readable record; return its result, the record, and the errors of newer files."""
        unreadable: list[UnreadableRecord] = []
        for result in reversed(self._some(results)):
            try:
                return result, result.kind.read(result.path), unreadable
            except UnreadableRecord as error:
                unreadable.append(error)
        raise unreadable[0]

    def _some(self, results: Path) -> list[Result]:
        every = self.results_in(results)
        if not every:
            raise UsageError(f"no records in {results}; {_MAKE_ONE}")
        return every

    def none_of(self, kind: RecordKind[Any], results: Path) -> UsageError:
        """Return the error for a folder without records of ``kind``; it says how to print other records."""
        others = [each.counted(count) for each in self.kinds if (count := len(each.paths(results)))]
        if not others:
            return UsageError(f"no records in {results / kind.folder}; {_MAKE_ONE}")
        *first, last = others
        beside = f"{', '.join(first)} and {last}" if first else last
        where = results_option(results)
        return UsageError(
            f"no {kind.folder} in {results / kind.folder}, but {beside} beside it. Print the newest with: "
            f"harness show last{where}; write its page with: harness report last{where} --to page.html"
        )

    def separated(
        self, kind: RecordKind[Any], arguments: Iterable[str], results: Path
    ) -> tuple[list[Result], list[str]]:
        """Separate the arguments that name a record of another kind; return their results, and the rest."""
        others: dict[Path, Result] = {}
        remaining = []
        for argument in arguments:
            named = self._named(argument, results)
            if named is None or named.kind is kind:
                remaining.append(argument)
            else:
                others[named.path] = named
        return list(others.values()), remaining

    def _named(self, argument: str, results: Path) -> Result | None:
        """Return the result that an argument names; None for a filter or a folder."""
        if argument == "last":
            return self.last(results)[0]
        if is_file(argument):
            return self.result_in(Path(argument))
        if "=" in argument or is_folder(argument):
            return None
        return self.find(results, argument)
