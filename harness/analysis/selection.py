"""The records that a command reads: files, folders, ids, and filters such as ``task=cnn since=2d``."""

import contextlib
import datetime
import gc
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from harness.analysis.axes import FIELDS, value_of
from harness.analysis.results import find_result, last_result, no_runs, read_each
from harness.errors import UsageError, unknown_name
from harness.machine.files import is_file, is_folder
from harness.runs.documents import UnreadableRecord
from harness.runs.identity import value_text
from harness.runs.record import Record
from harness.runs.store import RUNS


def _device_names(record: Record) -> tuple[str, ...]:
    """``cuda``, ``cuda:1`` and ``cuda:1 (NVIDIA H100)``; a process sees the GPU it is given as its first."""
    place, space, model = (record.device or record.device_asked).partition(" ")
    if ":" in record.device_asked:
        place = record.device_asked
    return place.partition(":")[0], place, f"{place}{space}{model}"


#: The names of a record that each filter looks at; a record passes if one of them is among those given.
_NAMES: dict[str, Callable[[Record], tuple[str, ...]]] = {
    "task": lambda record: (record.task.name,),
    "backend": lambda record: (record.backend, record.label),
    "dataset": lambda record: (record.dataset.name,),
    "device": _device_names,
    "precision": lambda record: (record.precision,),
    "threads": lambda record: (str(record.threads),),
    "seed": lambda record: (str(record.seed),),
    "status": lambda record: (record.status,),
}
#: Every other filter is an axis: a field of a record or an option of a task, as for ``--by``.
_SINCE = "since"
_EARLIEST = datetime.datetime.min.replace(tzinfo=datetime.UTC)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _option_names(record: Record, option: str) -> tuple[str, ...]:
    """The value of a field or of an option of the task as text; empty where there is none."""
    value = value_of(record, option)
    return () if value is None else (_number_text(value_text(value)),)


def _number_text(text: str) -> str:
    """A number in one form, so that ``0.10`` and ``1e-1`` are ``0.1``; another text as it is."""
    try:
        return f"{float(text):g}"
    except ValueError:
        return text


class Selection:
    """Records to read, once. Afterwards ``unreadable`` holds a message for each file that was skipped.

    Raises:
        UsageError: an argument is neither a filter nor the name of a record or folder.
    """

    def __init__(self, arguments: Sequence[str], results: Path) -> None:
        self.unreadable: list[str] = []
        self._wanted: dict[str, set[str]] = defaultdict(set)
        self._since: datetime.datetime | None = None
        self._seen: dict[str, Counter[str]] = defaultdict(Counter)
        self._options: set[str] = set()
        self._results = results
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
            raise no_runs(results)

    def _add_filter(self, key: str, text: str) -> None:
        if key == _SINCE:
            self._since = _parse_since(text)
            return
        names = {name.strip() for name in text.split(",") if name.strip()}
        if not names:
            raise UsageError(f"{key}= has no value; write for example task=cnn or backend=torch,keras")
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
        result = last_result(self._results)[0] if argument == "last" else find_result(self._results, argument)
        return [result.path]

    def __iter__(self) -> Iterator[Record]:
        """Each record that passes the filters; as :meth:`with_paths`."""
        return (record for _, record in self.with_paths())

    def with_paths(self) -> Iterator[tuple[Path, Record]]:
        """Each record that passes the filters, with its file, in the order of the files.

        Raises:
            UsageError: none passes; the message lists what there is.
        """
        passed = 0
        with no_garbage_collection():
            for path, record in zip(self.paths, read_each(RUNS, self.paths), strict=True):
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
            names = _NAMES[key](record) if key in _NAMES else _option_names(record, key)
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
        for key in self._wanted.keys() - _NAMES.keys() - FIELDS.keys() - self._options:
            return unknown_name("filter", key, [*_NAMES, _SINCE, *FIELDS, *self._options])
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
    """A time ago such as ``90m``, ``3h``, ``2d`` or ``1w``, or an ISO 8601 date (UTC without a zone)."""
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
