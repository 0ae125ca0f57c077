"""A gate's suite: which benchmarks to compare, and how much worse head may be in each."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta

from harness.core.machine.arguments import seconds_of
from harness.core.machine.files import read_file
from harness.core.runs.identity import value_text
from harness.errors import UsageError, unknown_name
from harness.spec.backend import DEVICE_PATTERN, Precision
from harness.timing.duel.record import PREDICTION
from harness.tracing.user_code import split_target

#: Fewer trainings say nothing about their spread.
FEWEST_SEEDS = 3
#: The limits that are given in points of accuracy, not in per cent.
_IN_POINTS = frozenset({"max_accuracy_loss"})
_Count = Annotated[int, Meta(ge=1)]

Unit = Literal["percent", "points"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much worse head may be, as shares: 0.05 is 5 %. None: not judged.

    ``max_accuracy_loss`` (0.01 is one point of accuracy; of other scores 1 % of base's) and
    ``max_extra_steps`` apply where the first steps of head differ from base's. Without the former, a
    difference fails.
    """

    max_slowdown: float | None = 0.05
    max_first_step_slowdown: float | None = 0.5
    max_memory_growth: float | None = 0.1
    max_accuracy_loss: float | None = None
    max_extra_steps: float | None = 0.25
    max_speedup: float | None = 0.5
    """A larger saving of time is not believed: the verdict is INVALID."""
    min_speedup: float | None = None
    """A claimed saving of the step time, in place of ``max_slowdown``: PASS where it is proven."""


#: The unit in which each limit is written.
LIMIT_UNITS: dict[str, Unit] = {
    field: "points" if field in _IN_POINTS else "percent" for field in Limits.__struct_fields__
}


class Benchmark(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark. Defaults are those of ``harness run``. ``options`` are a task's, as for ``--set``."""

    name: str
    backend: str = ""
    task: str = ""
    operation: Literal["train", "predict"] = "train"
    """Of a task: training steps, or predictions of ``batch_size`` samples, or else 1."""
    step: str = ""
    """In place of backend and task a step of the user's own, ``FILE.py:CALLABLE`` or a module's."""
    arguments: dict[str, Any] = msgspec.field(default_factory=dict, name="with")
    """Of the step's factory."""
    call: bool = False
    """The callable is the step itself, called with these arguments, and no factory."""
    samples: _Count | None = None
    """Of one call of the step."""
    compare_calls: Annotated[int, Meta(ge=3, le=10_000)] = 20
    """The first calls of the step, whose values are compared."""
    values: Literal["equal", "differ"] = "equal"
    tolerance: Annotated[float, Meta(gt=0, lt=1)] | None = None
    """Relative, of the step's values. Default: ten times base's own spread, at least rounding."""
    timeout: str | None = None
    """Such as ``30s``: the longest that making the step, or a block of its calls, may take."""
    dataset: str | None = None
    batch_size: _Count | None = None
    epochs: _Count | None = None
    """Of the trainings that compare quality over seeds."""
    seeds: Annotated[int, Meta(ge=FEWEST_SEEDS)] = 5
    """The largest number of such trainings."""
    seed: Annotated[int, Meta(ge=0, lt=2**31)] | Literal["own"] = 0
    """``own``: a step sets its own seeds."""
    device: str = "auto"
    precision: Precision = "float32"
    threads: Annotated[int, Meta(ge=1, le=1024)] | None = None
    options: dict[str, bool | int | float | str] = msgspec.field(default_factory=dict, name="set")
    limits: Limits = Limits()


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """The benchmarks of a file, and the chance that unchanged code fails, over all of them together."""

    file: str
    benchmarks: tuple[Benchmark, ...]
    false_alarms: Annotated[float, Meta(gt=0, lt=1)] = 0.01
    source: str = ""
    """What pip installs from each checkout where the harness makes the environments. Default: ``.[torch]``;
    in a suite of steps alone nothing, and both sides run this interpreter, each with its own checkout."""

    @property
    def has_tasks(self) -> bool:
        """Whether any benchmark trains a task, which takes a harness in both environments."""
        return any(not benchmark.step for benchmark in self.benchmarks)


_DEFAULT = Benchmark(name="", backend="", task="")


def work_of(benchmark: Benchmark) -> str:
    """The work of a benchmark in words: what differs between two of them is other work."""
    values = {name: getattr(benchmark, name) for name in ("dataset", "batch_size", "device", "precision")}
    given = {name: value for name, value in values.items() if value != getattr(_DEFAULT, name)}
    options = benchmark.arguments if benchmark.step else benchmark.options
    details = [f"{name} {value}" for name, value in sorted((given | options).items())]
    if benchmark.step:
        return ", ".join([benchmark.step, *details])
    return ", ".join([f"{benchmark.backend} on {benchmark.task}", *details])


# Suites in TOML files: ``gate.toml``, or the table ``[tool.harness.gate]`` of a ``pyproject.toml``.

_T = TypeVar("_T", bound=msgspec.Struct)
#: The names of a suite's file, in the order in which it is looked for.
SUITE_FILES = ("gate.toml", "pyproject.toml")
_PATTERNS: Mapping[Unit, re.Pattern[str]] = {
    "percent": re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*"),
    "points": re.compile(r"\s*(\d+(?:\.\d+)?)\s*points?\s*"),
}
_EXAMPLES: Mapping[Unit, str] = {"percent": '"5%"', "points": '"1 point"'}
_OFF = "off"
_EXAMPLE = '[benchmarks.cnn]\nbackend = "torch"\ntask = "cnn"'
#: Parsing takes a second for each MiB.
_MOST_BYTES = 1 << 20


def find_suite(folder: Path = Path()) -> Path:
    """The suite in a folder.

    Raises:
        UsageError: it has none.
    """
    for name in SUITE_FILES:
        if (folder / name).is_file():
            return folder / name
    raise UsageError(f"no suite here: give --suite FILE, or write gate.toml, for example:\n{_EXAMPLE}")


def read_suite(path: Path) -> Suite:
    """Read the suite in a file.

    Raises:
        UsageError: the file cannot be read, or a key or value in it is wrong.
    """
    document = _suite_table(path)
    if document is None:
        raise UsageError(f"{path} has no table [tool.harness.gate]")
    _refuse_unknown(document, {"benchmarks", "false_alarms", "source", *LIMIT_UNITS}, str(path))
    tables = document.get("benchmarks")
    if not tables or not isinstance(tables, dict):
        raise UsageError(f"{path} has no benchmark; write for example:\n{_EXAMPLE}")
    common = _limits(document, str(path))
    values: dict[str, object] = {"file": str(path)}
    if "source" in document:
        values["source"] = document["source"]
    if "false_alarms" in document:
        share = _share(document["false_alarms"], "false_alarms", "percent", str(path))
        if share >= 1.0:
            raise UsageError(f"{path}: false_alarms = {document['false_alarms']!r}: write less than 100%")
        values["false_alarms"] = share
    values["benchmarks"] = tuple(
        benchmark_of(name, table, common, f"{path}: benchmark {name}") for name, table in tables.items()
    )
    return _converted(values, Suite, str(path))


def benchmark_tables(path: Path) -> dict[str, Any]:
    """The tables of a file's benchmarks, unchecked; empty where it has none.

    Raises:
        UsageError: the file cannot be read.
    """
    return _nested(_suite_table(path), "benchmarks") or {}


def _suite_table(path: Path) -> dict[str, Any] | None:
    try:
        document = tomllib.loads(read_file(path, _MOST_BYTES).decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"cannot read the suite {path}: {error}") from error
    return _nested(document, "tool", "harness", "gate") if path.name == "pyproject.toml" else document


def _nested(document: Any, *keys: str) -> dict[str, Any] | None:
    """The table in a table in a table; None where something on the way is no table."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else None


def benchmark_of(name: str, table: Any, common: Mapping[str, float | None], where: str) -> Benchmark:
    """The benchmark that a table describes; ``common`` are the limits that it does not set.

    Raises:
        UsageError: a key is unknown or a value wrong; ``where`` says in which table.
    """
    if not isinstance(table, dict):
        raise UsageError(f"{where} must be a table with backend and task, or with step")
    own = {field.encode_name for field in msgspec.structs.fields(Benchmark)} - {"name", "limits"}
    _refuse_unknown(table, own | set(LIMIT_UNITS), where)
    _refuse_other_kind(table, where)
    precision, precisions = table.get("precision", "float32"), get_args(Precision)
    if precision not in precisions:
        raise UsageError(f"{where}: precision = {precision!r} is none of {', '.join(precisions)}")
    limits = Limits(**{**common, **_limits(table, where)})
    values = {key: value for key, value in table.items() if key not in LIMIT_UNITS}
    benchmark = _converted({**values, "name": name}, Benchmark, where)
    if not re.match(DEVICE_PATTERN, benchmark.device):
        raise UsageError(f"{where}: device = {benchmark.device!r} is none of auto, cpu, cuda, cuda:N")
    if benchmark.timeout is not None:
        try:
            seconds_of(benchmark.timeout)
        except UsageError as error:
            raise UsageError(f"{where}: timeout = {error}") from error
    benchmark = msgspec.structs.replace(benchmark, limits=limits)
    return _prediction(benchmark, where) if benchmark.operation == "predict" else benchmark


def _prediction(benchmark: Benchmark, where: str) -> Benchmark:
    """A benchmark of predictions of a task, as one of the step that makes them."""
    if benchmark.step:
        raise UsageError(f'{where}: operation = "predict" is for a task')
    default = Benchmark(name="")
    for key in ("epochs", "seeds"):
        if getattr(benchmark, key) != getattr(default, key):
            raise UsageError(f"{where}: {key} is of trainings, and predictions train nothing")
    threads = benchmark.threads or 1
    arguments = {
        **{key: getattr(benchmark, key) for key in ("backend", "task", "device", "precision", "seed")},
        "batch_size": benchmark.batch_size or 1,
        "dataset": benchmark.dataset or "",
        "threads": threads,
        "options": [f"{key}={value_text(value)}" for key, value in benchmark.options.items()],
    }
    return msgspec.structs.replace(
        benchmark,
        backend="",
        task="",
        dataset=None,
        batch_size=None,
        options={},
        threads=threads,
        step=PREDICTION,
        arguments=arguments,
    )


#: Keys of one kind of benchmark alone.
_OF_STEPS = ("with", "call", "samples", "compare_calls", "values", "tolerance", "timeout")
_OF_TASKS = (
    "backend",
    "task",
    "dataset",
    "batch_size",
    "epochs",
    "seeds",
    "precision",
    "set",
    "max_accuracy_loss",
    "max_extra_steps",
)


def _refuse_other_kind(table: Mapping[str, Any], where: str) -> None:
    """Refuse a benchmark of neither kind, and keys of the other one."""
    is_step = "step" in table
    if not is_step and (missing := [key for key in ("backend", "task") if key not in table]):
        raise UsageError(f"{where} lacks {' and '.join(missing)}, or step for a step of your own")
    if foreign := [key for key in (_OF_TASKS if is_step else _OF_STEPS) if key in table]:
        kind = "a step of your own" if is_step else "a task"
        raise UsageError(f"{where}: {foreign[0]} is not for {kind}")
    if is_step and isinstance(table["step"], str):
        split_target(table["step"])
    if not is_step and table.get("seed") == "own":
        raise UsageError(f'{where}: seed = "own" is for steps of your own')


def _limits(table: Mapping[str, Any], where: str) -> dict[str, float | None]:
    return {
        key: None if table[key] == _OFF else _share(table[key], key, unit, where)
        for key, unit in LIMIT_UNITS.items()
        if key in table
    }


def _share(value: object, key: str, unit: Unit, where: str) -> float:
    """``"5%"`` or ``"1 point"`` as 0.05 or 0.01."""
    match = _PATTERNS[unit].fullmatch(value) if isinstance(value, str) else None
    share = float(match[1]) / 100 if match else 0.0
    if share <= 0.0:
        off = f' or "{_OFF}"' if key in LIMIT_UNITS else ""
        raise UsageError(
            f"{where}: {key} = {value!r} is not a number above 0 with its unit; write {key} = "
            f"{_EXAMPLES[unit]}{off}"
        )
    return share


def _refuse_unknown(table: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise UsageError(f"{where}: {unknown_name('key', key, known)}")


def _converted(values: Mapping[str, Any], kind: type[_T], where: str) -> _T:
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {error}") from error
