"""Records of every kind: their envelope, and the folder of JSON files in which each kind is stored."""

import datetime
import functools
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from harness.core.documents.contents import Needs, SourceFile, contents_of
from harness.core.machine.checksums import ContentChanged, verify_checksum, with_checksum
from harness.core.machine.description import Machine
from harness.core.machine.encoding import encode
from harness.core.machine.files import read_file, replace_result, without_home
from harness.errors import HarnessError, PluginError, UsageError, interruption

#: ``stopped`` is a trial of a study that fell behind the others. ``lost`` is never stored: a ``running``
#: record is read as lost if its process is gone.
Status = Literal[
    "running", "ok", "stopped", "diverged", "failed", "timeout", "interrupted", "unsupported", "lost"
]


class Envelope(msgspec.Struct, kw_only=True):
    """The fields of every record: its identity, and when, where and how it came about.

    The checksum of the content is not a field: it is added on writing and verified on reading.
    """

    schema: int
    id: str
    status: Status = "running"
    started_at: str
    """UTC, ISO 8601."""
    command: list[str]
    """The command line, without the name of the program."""
    machine: Machine
    folder: str = ""
    """The folder in which the command ran. Set when the record is first written, as are the next two."""
    sources: list[SourceFile] = []
    """The files of the user's own code: models, losses, optimizers, steps and plugins, with their imports."""
    distributions: dict[str, str] = {}
    """The installed versions of what the command imports: the harness, the frameworks, the imports of
    ``sources``, and all that these require."""


class Stamp(NamedTuple):
    """The identifier of a new record, which begins with the time, and the time in ISO 8601."""

    id: str
    started_at: str


def stamp(*names: str) -> Stamp:
    """Make an identifier of the present time and ``names``: ``20260131-235959-123-NAME-NAME-3f2a``."""
    now = datetime.datetime.now(datetime.UTC)
    identifier = "-".join(
        [f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}", *names, secrets.token_hex(2)]
    )
    return Stamp(identifier, now.isoformat(timespec="seconds"))


class Ending(Protocol):
    """A record that states how its work ended."""

    status: Status
    failure: str


def carry_out(record: Ending, work: Callable[[], None], save: Callable[[], object]) -> None:
    """Do the work that fills a record, set the status by how the work ended, and save the record.

    After a failure or Ctrl-C, the record is saved with the reason and the results so far; an exception that
    is a fault of the program is raised again.
    """
    try:
        try:
            work()
            record.status = "ok"
        except UsageError:
            raise
        except HarnessError as error:
            record.status, record.failure = "failed", str(error)
        except Exception as error:  # a fault of the program: the results so far are kept
            record.status, record.failure = "failed", f"{type(error).__name__}: {error}"
            _save_last(record, save)
            raise
        _save_last(record, save)
    except KeyboardInterrupt as interrupt:
        # The last record is complete in any case: further signals wait, see harness.core.shell.signals.
        if record.status == "running":
            record.status, record.failure = "interrupted", interruption(interrupt)
        _save_last(record, save)


def _save_last(record: Ending, save: Callable[[], object]) -> None:
    try:
        save()
    except HarnessError as error:
        causes = dict.fromkeys(filter(None, [record.failure, str(error)]))
        record.status, record.failure = "failed", "; ".join(causes)


class Identified(Protocol):
    """A document with the version of its schema, and an identifier, which names its file."""

    @property
    def schema(self) -> int:
        """The version of the schema."""

    @property
    def id(self) -> str:
        """Unique in its folder."""


_D = TypeVar("_D", bound=Identified)


class _SchemaOnly(msgspec.Struct):
    schema: int


def decode(data: bytes, kind: type[_D], schema: int) -> _D:
    """Decode a document of type ``kind`` in version ``schema``."""
    try:
        decoder: msgspec.json.Decoder[_D] = _decoder(kind)
        document = decoder.decode(data)
        found = document.schema
    except msgspec.MsgspecError:
        # A document of another schema need not fit this one.
        found = msgspec.json.decode(data, type=_SchemaOnly).schema
        if found == schema:
            raise
    if found != schema:
        raise msgspec.ValidationError(
            f"it has schema {found}, and this version of harness reads schema {schema}"
        )
    return document


@functools.cache
def _decoder(kind: type[_D]) -> msgspec.json.Decoder[_D]:
    return msgspec.json.Decoder(kind)


def encode_document(document: object) -> bytes:
    """Encode a record as it is stored: indented JSON with a checksum, and ``~`` for the home folder."""
    content = without_home(encode(document).decode()).encode()
    return with_checksum(msgspec.json.format(content, indent=1))


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


class UnreadableRecord(UsageError):
    """A file without a readable record; the message names it and says why."""


def _as_stored(record: _D, _path: Path) -> _D:
    return record


def _no_needs(_record: object) -> Needs:
    return Needs()


def _no_others(_record: object, _results: Path) -> Iterable[Path]:
    return ()


_RENDER = "harness.core.documents.render"


class Listed(NamedTuple):
    """A record in a list of results."""

    task: str
    configurations: str
    outcome: str
    """Scores or verdicts; the status of a record whose work did not succeed."""


def _called(function: str, *arguments: object) -> Any:
    """Import and call a function of a kind of record."""
    try:
        return resolve_name(function)(*arguments)
    except HarnessError:
        raise
    except Exception as error:
        if function.startswith("harness."):
            raise
        raise PluginError(f"{function}: {type(error).__name__}: {error}") from error


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RecordKind(Generic[_D]):
    """A kind of record: its name, its folder, and how its files are read, listed and shown.

    ``row`` and the documents are ``package.module:NAME`` of functions, which are imported when they are used:
    ``row(record)`` returns a :class:`Listed`; ``document(record)`` returns the document that is printed and
    written to files, ``page(record)`` another one for files.

    ``type`` judges its records when they are read: its ``__post_init__``, and those of its parts, raise
    ValueError where names refer to nothing, lengths differ or numbers cannot be.
    """

    name: str
    folder: str
    type: type[_D]
    schema: int
    mark: str
    """A field that every record of this kind has, of any schema, and no record of another kind."""
    row: str
    document: str
    page: str = ""
    noun: tuple[str, str] | None = None
    """One and several records in a sentence; default: the name and the folder."""
    suffixes: tuple[str, ...] = (".html", ".md")
    """The files that ``harness report`` writes of one record."""
    reads_results: bool = False
    """The documents show other records, too: their functions take the results folder as second argument."""
    numerous: bool = False
    """A folder may have thousands: files in it are taken to be of this kind without reading them."""
    judge: Callable[[_D, Path], _D] = _as_stored
    """Completes a record by facts that only its reader can know."""
    needs: Callable[[_D], Needs] = _no_needs
    """Returns the user's own code and the backends that a record names; they are kept with the record."""
    others: Callable[[_D, Path], Iterable[Path]] = _no_others
    """Returns the files of further records, in a folder of results, that a record is about."""

    def counted(self, count: int) -> str:
        """Return a number of records in words, such as ``2 port checks``."""
        one, several = self.noun or (self.name, self.folder)
        return f"{count} {one if count == 1 else several}"

    def row_of(self, record: _D) -> Listed:
        """Return the row of a record in a list."""
        row: Listed = _called(self.row, record)
        return row

    def text_of(self, record: _D, path: Path) -> str:
        """Return the text that ``harness show`` prints of a record in the file ``path``."""
        text: str = resolve_name(f"{_RENDER}.terminal:terminal_text")(self._made(self.document, record, path))
        return text

    def file_of(self, record: _D, path: Path, suffix: str) -> str:
        """Return the content of a file with this suffix, one of ``suffixes``, of a record."""
        renderer = {".html": "html:html_page", ".md": "markdown:markdown"}[suffix]
        content: str = resolve_name(f"{_RENDER}.{renderer}")(self.page_of(record, path))
        return content

    def page_of(self, record: _D, path: Path) -> Any:
        """Return the document that files show of a record in the file ``path``."""
        return self._made(self.page or self.document, record, path)

    def _made(self, function: str, record: _D, path: Path) -> object:
        more = (path.parent.parent,) if self.reads_results else ()
        return _called(function, record, *more)

    def paths(self, results: Path) -> list[Path]:
        """Return the files in a results folder, oldest first if their names begin with the time."""
        return sorted((results / self.folder).glob("*.json"))

    def save(self, record: _D, folder: Path) -> Path:
        """Write a record into the folder of its kind, completely or not at all, and return its path.

        The first time, the record gets its folder, sources and distributions, and the content of the sources
        is stored beside the folder of the kind.
        """
        path = folder / f"{record.id}.json"
        if path.parent != folder:
            raise HarnessError(f"cannot write a record whose id is {record.id!r}: it is no name of a file")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(record, Envelope) and not record.folder:
                contents = contents_of(self.needs(record), folder.parent)
                record.folder, record.sources, record.distributions = contents
            replace_result(path, encode_document(record))
        except OSError as error:
            raise HarnessError(f"cannot write the record {path}: {error.strerror}") from error
        return path

    def read(self, path: Path) -> _D:
        """Read the record in a file."""
        try:
            content = read_file(path)
            is_verified = verify_checksum(content)
            record = self._decoded(content, path)
            if is_verified:
                return record
            raise UnreadableRecord(f"{path} {ContentChanged('it has no checksum')}")
        except ContentChanged as error:
            raise UnreadableRecord(f"{path} {error}") from error
        except OSError as error:
            raise UnreadableRecord(f"{path} cannot be read: {error.strerror}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if path.suffix != ".json" and not isinstance(error, msgspec.ValidationError):
                raise UnreadableRecord(f"{path} is not a JSON record") from error
            reason = str(error) if _is_utf8(content) else "it is not text in UTF-8"
            raise self._unreadable(path, reason) from error
        except (msgspec.MsgspecError, RecursionError) as error:
            raise self._unreadable(path, str(error)) from error

    def _decoded(self, content: bytes, path: Path) -> _D:
        """Decode and judge a record; a record that makes the code of another package raise is unreadable."""
        try:
            return self.judge(decode(content, self.type, self.schema), path)
        except (HarnessError, msgspec.MsgspecError, RecursionError):
            raise
        except Exception as error:
            if self.type.__module__.startswith("harness."):
                raise
            reason = f"{self.type.__module__}: {type(error).__name__}: {error}"
            raise self._unreadable(path, reason) from error

    def _unreadable(self, path: Path, reason: str) -> UnreadableRecord:
        return UnreadableRecord(f"{path} is not a readable {self.name} record: {reason}")

    def read_each(self, paths: Iterable[Path]) -> Iterator[_D | UnreadableRecord]:
        """Yield each record, or the error in its place."""
        for path in paths:
            try:
                yield self.read(path)
            except UnreadableRecord as error:
                yield error
