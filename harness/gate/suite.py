"""A gate's suite: which benchmarks to try and how much worse head may be, read from TOML.

From a file such as ``gate.toml``, whose top level is the suite, or from ``[tool.harness.gate]`` of a
``pyproject.toml``.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta

from harness.errors import UsageError, unknown_name
from harness.spec.backend import DEVICE_PATTERN, Precision

_T = TypeVar("_T", bound=msgspec.Struct)
Kind = Literal["percent", "points"]
_UNITS: Mapping[Kind, re.Pattern[str]] = {
    "percent": re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*"),
    "points": re.compile(r"\s*(\d+(?:\.\d+)?)\s*points?\s*"),
}
_EXAMPLES: Mapping[Kind, str] = {"percent": '"5%"', "points": '"1 point"'}
_OFF = "off"
#: Where a suite is looked for, from a project's top folder.
SUITE_FILES = ("gate.toml", "pyproject.toml")
#: Fewer trainings say nothing of their spread.
FEWEST_SEEDS = 3
Count = Annotated[int, Meta(ge=1)]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much worse head may be, as shares: 0.05 is 5 %. None: not judged.

    ``max_accuracy_loss`` (0.01 is one point of accuracy; of other scores one per cent of base's) and
    ``max_extra_steps`` say what is tolerated where head does other maths than base. Without the former,
    other maths fail.
    """

    max_slowdown: float | None = 0.05
    max_first_step_slowdown: float | None = 0.5
    max_memory_growth: float | None = 0.1
    max_accuracy_loss: float | None = None
    max_extra_steps: float | None = 0.25
    max_speedup: float | None = 0.5
    """A larger saving of time than this share is not believed."""


_LIMIT_KINDS: Mapping[str, Kind] = {
    field: "points" if field == "max_accuracy_loss" else "percent" for field in Limits.__struct_fields__
}


class Benchmark(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark; what is not given is as of ``harness run``. ``options`` are a task's, for ``--set``."""

    name: str
    backend: str
    task: str
    dataset: str | None = None
    batch_size: Count | None = None
    epochs: Count | None = None
    """Of the trainings that compare quality over seeds."""
    seeds: Annotated[int, Meta(ge=FEWEST_SEEDS)] = 5
    """At most so many of them."""
    seed: Annotated[int, Meta(ge=0, lt=2**31)] = 0
    device: str = "auto"
    precision: Precision = "float32"
    threads: Annotated[int, Meta(ge=1, le=1024)] | None = None
    options: dict[str, bool | int | float | str] = msgspec.field(default_factory=dict, name="set")
    limits: Limits = Limits()


def work_of(benchmark: Benchmark) -> str:
    """In words what it tries, as it is written."""
    named = ("dataset", "batch_size", "device", "precision")
    told = {name: getattr(benchmark, name) for name in named}
    usual = {name: getattr(_PLAIN, name) for name in named}
    given = {name: value for name, value in told.items() if value != usual[name]} | benchmark.options
    work = f"{benchmark.backend} on {benchmark.task}"
    return ", ".join([work, *(f"{name} {value}" for name, value in sorted(given.items()))])


_PLAIN = Benchmark(name="", backend="", task="")


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """The benchmarks of a file, and the chance that unchanged code fails, over all of them together."""

    file: str
    benchmarks: tuple[Benchmark, ...]
    false_alarms: Annotated[float, Meta(gt=0, lt=1)] = 0.01
    source: str = ".[torch]"
    """What pip installs of each checkout where the harness makes the environments."""


def read_suite(path: Path) -> Suite:
    """The suite in a file.

    Raises:
        UsageError: it cannot be read, or something in it is unknown or wrong; says what would be right.
    """
    document = _read(path)
    if path.name == "pyproject.toml":
        document = _within(document, "tool", "harness", "gate")
        if document is None:
            raise UsageError(f"{path} has no table [tool.harness.gate]")
    own = {"benchmarks", "false_alarms", "source"}
    _refuse_unknown("key", document, own | set(_LIMIT_KINDS), path)
    tables = document.get("benchmarks")
    if not tables or not isinstance(tables, dict):
        raise UsageError(
            f"{path} names no benchmark; write for example:\n"
            '[benchmarks.cnn]\nbackend = "torch"\ntask = "cnn"'
        )
    common = _limits(document, path)
    settings: dict[str, object] = {"file": str(path)}
    if "source" in document:
        settings["source"] = document["source"]
    if "false_alarms" in document:
        share = _share(document["false_alarms"], "false_alarms", "percent", path)
        if share >= 1.0:
            raise UsageError(f"{path}: false_alarms = {document['false_alarms']!r}: write less than 100%")
        settings["false_alarms"] = share
    benchmarks = tuple(
        benchmark_of(name, table, common, f"{path}: benchmark {name}") for name, table in tables.items()
    )
    return _converted({**settings, "benchmarks": benchmarks}, Suite, str(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"the suite {path} cannot be read: {error}") from error


def benchmark_tables(path: Path) -> dict[str, Any]:
    """The tables of a file's benchmarks, whatever is in them; none where it has none.

    Raises:
        UsageError: it cannot be read.
    """
    document = _read(path)
    keys = ("tool", "harness", "gate") if path.name == "pyproject.toml" else ()
    return _within(document, *keys, "benchmarks") or {}


def _within(document: Any, *keys: str) -> Any:
    """The table in a table in a table; None where something on the way is none."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else None


def benchmark_of(name: str, table: Any, common: dict[str, float | None], where: str) -> Benchmark:
    """The benchmark that a table describes; the limits that it does not have are those in ``common``.

    Raises:
        UsageError: a key is unknown or a value wrong; says ``where`` that is, and what would be right.
    """
    if not isinstance(table, dict):
        raise UsageError(f"{where} must be a table with backend and task")
    own = {field.encode_name for field in msgspec.structs.fields(Benchmark)} - {"name", "limits"}
    _refuse_unknown("key", table, own | set(_LIMIT_KINDS), where)
    if missing := [key for key in ("backend", "task") if key not in table]:
        raise UsageError(f"{where} lacks {' and '.join(missing)}")
    precision, precisions = table.get("precision", "float32"), get_args(Precision)
    if precision not in precisions:
        raise UsageError(f"{where}: precision = {precision!r} is none of {', '.join(precisions)}")
    limits = Limits(**{**common, **_limits(table, where)})
    rest = {key: value for key, value in table.items() if key not in _LIMIT_KINDS}
    made = _converted({**rest, "name": name}, Benchmark, where)
    if not re.match(DEVICE_PATTERN, made.device):
        raise UsageError(f"{where}: device = {made.device!r} is none of auto, cpu, cuda, cuda:1 (any number)")
    return msgspec.structs.replace(made, limits=limits)


def _limits(table: dict[str, Any], where: object) -> dict[str, float | None]:
    return {
        key: None if table[key] == _OFF else _share(table[key], key, kind, where)
        for key, kind in _LIMIT_KINDS.items()
        if key in table
    }


def _share(value: object, key: str, kind: Kind, where: object) -> float:
    """``"5%"`` or ``"1 point"`` as 0.05 or 0.01."""
    found = _UNITS[kind].fullmatch(value) if isinstance(value, str) else None
    share = float(found[1]) / 100 if found else 0.0
    if share <= 0.0:
        raise UsageError(
            f"{where}: {key} = {value!r} is no number above 0 with its unit; write {key} = {_EXAMPLES[kind]}"
            + (f' or "{_OFF}"' if key in _LIMIT_KINDS else "")
        )
    return share


def _refuse_unknown(kind: str, table: dict[str, Any], known: set[str], where: object) -> None:
    for key in table:
        if key not in known:
            raise UsageError(f"{where}: {unknown_name(kind, key, known)}")


def _converted(values: dict[str, Any], kind: type[_T], where: str) -> _T:
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {error}") from error
