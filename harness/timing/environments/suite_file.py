"""Suites in TOML files: ``gate.toml``, or the table ``[tool.harness.gate]`` of a ``pyproject.toml``."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from harness.core.machine.arguments import seconds_of
from harness.core.machine.files import read_file
from harness.core.plugins.options import value_text
from harness.core.shell.data_option import provided
from harness.errors import UsageError, unknown_name
from harness.spec.backend import DEVICE_PATTERN, Precision
from harness.timing.engine.asked import parsed
from harness.timing.engine.steps.task_step import PREDICTION
from harness.timing.environments.suite import Benchmark, Limits, Suite, Unit, limit_units
from harness.tracing.user_code import split_target

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
    """Return the suite in a folder."""
    for name in SUITE_FILES:
        if (folder / name).is_file():
            return folder / name
    raise UsageError(f"no suite here: give --suite FILE, or write gate.toml, for example:\n{_EXAMPLE}")


def read_suite(path: Path) -> Suite:
    """Read the suite in a file."""
    document = suite_table(path)
    if document is None:
        raise UsageError(f"{path} has no table [tool.harness.gate]")
    _refuse_unknown(document, {"benchmarks", "false_alarms", "source", *limit_units()}, str(path))
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


def suite_table(path: Path) -> dict[str, Any] | None:
    """Return the settings of a suite as its file has them; None where a ``pyproject.toml`` has none."""
    try:
        document = tomllib.loads(read_file(path, _MOST_BYTES).decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read the suite {path}: {why}") from error
    return _nested(document, "tool", "harness", "gate") if path.name == "pyproject.toml" else document


def _nested(document: Any, *keys: str) -> dict[str, Any] | None:
    """Return the table in a table in a table; None where something on the way is no table."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else None


def benchmark_of(name: str, table: Any, common: Mapping[str, float | None], where: str) -> Benchmark:
    """Return the benchmark that a table describes; ``common`` are the limits that it does not set."""
    if not isinstance(table, dict):
        raise UsageError(f"{where} must be a table with backend and task, or with step")
    table = _with_settings(table, where)
    own = {field.encode_name for field in msgspec.structs.fields(Benchmark)} - {"name", "limits"}
    _refuse_unknown(table, own | set(limit_units()), where)
    _refuse_other_kind(table, where)
    precision, precisions = table.get("precision", "float32"), get_args(Precision)
    if precision not in precisions:
        raise UsageError(f"{where}: precision = {precision!r} is none of {', '.join(precisions)}")
    limits = Limits.from_keys({**common, **_limits(table, where)})
    values = {key: value for key, value in table.items() if key not in limit_units()}
    benchmark = _converted({**values, "name": name}, Benchmark, where)
    settings = [f"{key}={value_text(value)}" for key, value in benchmark.set_data.items()]
    try:
        dataset = provided(benchmark.dataset, settings, quiet=True)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    benchmark = msgspec.structs.replace(benchmark, dataset=dataset)
    if not re.match(DEVICE_PATTERN, benchmark.device):
        raise UsageError(f"{where}: device = {benchmark.device!r} is none of auto, cpu, cuda, cuda:N")
    if benchmark.timeout is not None:
        try:
            seconds_of(benchmark.timeout)
        except UsageError as error:
            raise UsageError(f"{where}: timeout = {error}") from error
    benchmark = msgspec.structs.replace(benchmark, limits=limits)
    return _prediction(benchmark, where) if benchmark.operation == "predict" else benchmark


def _with_settings(table: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Return the table with the settings of ``backend = "torch threads=2"`` or of its step as keys."""
    key = "step" if "step" in table else "backend"
    if not isinstance(table.get(key), str):
        return table
    try:
        asked = parsed(table[key])
        asked.refuse(("python", "variables"), "is of base or head: use --base-python, --base-env and so on")
        asked.refuse(("private",), "is an option of the task: write set = { dp_clip = 1.0 }")
        asked.refuse([*table], "is a key of the benchmark, too: give it once")
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    return {**table, key: asked.name, **{setting: getattr(asked, setting) for setting in asked.settings}}


def _prediction(benchmark: Benchmark, where: str) -> Benchmark:
    """Return a benchmark of predictions of a task as one of the step that makes them."""
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
)


def _refuse_other_kind(table: Mapping[str, Any], where: str) -> None:
    """Refuse a benchmark of neither kind, and keys of the other kind."""
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
        for key, unit in limit_units().items()
        if key in table
    }


def _share(value: object, key: str, unit: Unit, where: str) -> float:
    """Parse ``"5%"`` or ``"1 point"`` as 0.05 or 0.01."""
    match = _PATTERNS[unit].fullmatch(value) if isinstance(value, str) else None
    share = float(match[1]) / 100 if match else 0.0
    if share <= 0.0:
        off = f' or "{_OFF}"' if key in limit_units() else ""
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
