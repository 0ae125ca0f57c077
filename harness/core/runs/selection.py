"""The records that a command reads: files, folders, ids, and filters such as ``task=cnn since=2d``."""

import contextlib
import datetime
import gc
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from harness.core.documents.find import Records
from harness.core.documents.kinds import UnreadableRecord
from harness.core.machine.files import is_file, is_folder
from harness.core.plugins.installation import identifying_versions
from harness.core.runs.fields import FIELDS, text_on_axis, value_of
from harness.core.runs.own_models import model_text, own_model
from harness.core.runs.record import Record
from harness.core.runs.store import RUNS
from harness.errors import UsageError, unknown_name


def _device_names(record: Record) -> tuple[str, ...]:
    """Return ``cuda``, ``cuda:1`` and ``cuda:1 (NVIDIA H100)``. A process sees its GPU as the first one."""
    place, space, model = (record.device or record.configuration.device).partition(" ")
    if ":" in record.configuration.device:
        place = record.configuration.device
    return place.partition(":")[0], place, f"{place}{space}{model}"


def _version_names(record: Record) -> tuple[str, ...]:
    """Return ``2.13.0`` and ``torch 2.13.0`` for each version that identifies the backend."""
    versions = identifying_versions(record.configuration.backend, record.framework)
    return (*versions.values(), *(f"{name} {version}" for name, version in versions.items()))


#: Filters with several names of a record, or of fields by which runs are not compared. A record passes if one
#: of its names is among those given. The other filters are the fields and options of ``--by``.
_NAMES: dict[str, Callable[[Record], tuple[str, ...]]] = {
    "task": lambda record: (record.task.name,),
    "model": lambda record: (record.task.name, model_text(record) or "") if own_model(record) else (),
    "backend": lambda record: (record.configuration.backend, record.configuration.label),
    "version": _version_names,
    "dataset": lambda record: (record.dataset.name,),
    "device": _device_names,
    "seed": lambda record: (str(record.seed),),
    "status": lambda record: (record.status,),
    "host": lambda record: (record.machine.host or "",),
}
_SINCE = "since"
#: The names of filters, beside the options of tasks.
FILTERS = (*dict.fromkeys([*_NAMES, *FIELDS]), _SINCE)
_EARLIEST = datetime.datetime.min.replace(tzinfo=datetime.UTC)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _names(record: Record, key: str) -> tuple[str, ...]:
    """Return the names that the filter ``key`` compares; empty if the record's task has no such option."""
    if key in _NAMES:
        return _NAMES[key](record)
    value = value_of(record, key)
    known = value is not None or key in FIELDS
    return (_number_text(text_on_axis(key, value)),) if known else ()


def _number_text(text: str) -> str:
    """Write a number in one form, so that ``0.10`` and ``1e-1`` are ``0.1``; keep other texts."""
    try:
        return f"{float(text):g}"
    except ValueError:
        return text


class Selection:
    """Selected records, to be read once. Afterwards ``unreadable`` has a message for each skipped file."""

    def __init__(self, arguments: Sequence[str], results: Path, records: Records) -> None:
        """Choose from ``records`` by ``arguments``: names and filters."""
        self.unreadable: list[str] = []
        self._wanted: dict[str, set[str]] = defaultdict(set)
        self._since: datetime.datetime | None = None
        self._seen: dict[str, Counter[str]] = defaultdict(Counter)
        self._options: set[str] = set()
        self._results, self._records = results, records
        #: Results folders that are named, or else the one of ``--results``.
        self.folders: list[Path] = []
        paths: dict[Path, None] = {}
        for argument in arguments:
            key, sign, text = argument.partition("=")
            if sign and not (is_file(argument) or is_folder(argument)):
                self._add_filter(key, text)
            else:
                paths |= dict.fromkeys(self._files(argument))
        self.folders = self.folders or [results]
        self.paths = list(paths or dict.fromkeys(RUNS.paths(results)))
        if not self.paths:
            raise records.none_of(RUNS, results)

    def _add_filter(self, key: str, text: str) -> None:
        if key == _SINCE:
            self._since = _parse_since(text)
            return
        names = {name.strip() for name in text.split(",")}
        if not all(names):
            raise UsageError(
                f"{key}={text} has an empty value; write for example task=cnn or backend=torch,keras"
            )
        self._wanted[key] |= names if key in _NAMES else set(map(_number_text, names))

    def _files(self, argument: str) -> list[Path]:
        path = Path(argument)
        if is_folder(argument):
            folder = path / RUNS.folder if (path / RUNS.folder).is_dir() else path
            if folder is not path:
                self.folders.append(path)
            files = sorted(folder.glob("*.json"))
            if not files:
                raise UsageError(f"there are no records (*.json) in {folder}")
            return files
        records, results = self._records, self._results
        result = records.last(results)[0] if argument == "last" else records.find(results, argument)
        return [result.path]

    def __iter__(self) -> Iterator[Record]:
        """Yield each record that passes the filters, as :meth:`with_paths`."""
        return (record for _, record in self.with_paths())

    def with_paths(self) -> Iterator[tuple[Path, Record]]:
        """Yield each record that passes the filters, with its file, in the order of the files."""
        passed = 0
        with no_garbage_collection():
            for path, record in zip(self.paths, self._records.read_each(RUNS, self.paths), strict=True):
                if isinstance(record, UnreadableRecord):
                    self.unreadable.append(str(record))
                elif self._passes(record):
                    passed += 1
                    yield path, record
        if not passed:
            raise self._nothing()

    def _passes(self, record: Record) -> bool:
        passes = self._since is None or self._started(record) >= self._since
        self._options.update(record.task.options)
        for key, wanted in self._wanted.items():
            names = _names(record, key)
            self._seen[key].update(names[-1:])
            passes = passes and not wanted.isdisjoint(names)
        return passes

    def _started(self, record: Record) -> datetime.datetime:
        try:
            return _aware(datetime.datetime.fromisoformat(record.started_at))
        except ValueError:
            self.unreadable.append(
                f"record {record.id} has no valid start: {record.started_at!r} is not an ISO 8601 time"
            )
            return _EARLIEST

    def _nothing(self) -> UsageError:
        read = len(self.paths) - len(self.unreadable)
        if not read:
            many = f"none of {len(self.paths)} files can be read: "
            return UsageError((many if len(self.paths) > 1 else "") + self.unreadable[0])
        for key in self._wanted.keys() - {*FILTERS} - self._options:
            return unknown_name("filter", key, [*FILTERS, *self._options])
        present = "; ".join(
            f"{key} " + ", ".join(f"{name} ({count})" for name, count in self._seen[key].most_common(8))
            for key in self._wanted
        )
        since = f" since {self._since:%Y-%m-%d %H:%M} UTC" if self._since else ""
        others = f" Present: {present}." if present else ""
        return UsageError(f"none of {read} records passes the filters{since}.{others}")


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Disable garbage collection: with many new objects the search for cycles takes longer than the work."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _parse_since(text: str) -> datetime.datetime:
    """Parse an age such as ``90m``, ``3h``, ``2d`` or ``1w``, or an ISO 8601 date (UTC without a zone)."""
    if match := re.fullmatch(r"(\d{1,6})([mhdw])", text):
        ago = datetime.timedelta(**{_UNITS[match[2]]: int(match[1])})
        now = datetime.datetime.now(datetime.UTC)
        return now - ago if ago < now - _EARLIEST else _EARLIEST
    try:
        since = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"since={text} is not a time; write 90m, 3h, 2d, 1w or a date such as 2026-11-25"
        ) from None
    return _aware(since)


def _aware(time: datetime.datetime) -> datetime.datetime:
    return time if time.tzinfo else time.replace(tzinfo=datetime.UTC)
