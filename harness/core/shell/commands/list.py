"""``harness list``: backends, tasks, data sets and results. Imports no framework."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from harness.core.documents.find import Result
from harness.core.documents.kinds import UnreadableRecord
from harness.core.documents.numbers import NOTHING
from harness.core.documents.render.terminal import fitted_table, terminal_width
from harness.core.documents.results import results_option
from harness.core.plugins import registry
from harness.core.plugins.definition import define_task
from harness.core.plugins.installation import installation
from harness.core.plugins.options import describe_options
from harness.core.runs.request import ask_source
from harness.core.shell import options
from harness.core.shell.commands.data import dataset_state
from harness.core.shell.features import records
from harness.core.shell.printing import echo
from harness.errors import DataError, PluginError

_KINDS = ["backends", "tasks", "datasets", "results"]
_NEWEST = 10
#: The part of an id that is printed, which `harness show` accepts: its date and time, or its beginning.
_SHORT_ID = re.compile(r"\d{8}-\d{6}|.{1,26}")


class _Kind(click.Argument):
    """The argument KIND; click would call it ``[KIND]`` in errors."""

    def get_error_hint(self, _ctx: click.Context | None) -> str:
        return "'KIND'"


class _KindOrTask(click.Choice):  # type: ignore[type-arg]  # generic from click 8.2 on
    """A kind, or else the name of a task, which is known once the plugins of all options are loaded."""

    def convert(self, value: Any, _param: click.Parameter | None, _ctx: click.Context | None) -> Any:
        return value


@click.command()
@click.argument("kind", cls=_Kind, metavar="[KIND]", required=False, type=_KindOrTask(_KINDS))
@options.results
@options.number("--limit", default=_NEWEST, text="Number of results, newest first.")
@options.plugin
def command(kind: str | None, results: Path, limit: int) -> None:
    """List backends, tasks, data sets and results.

    KIND is backends, tasks, datasets or results. Default: all of them. `harness list tasks` also lists the
    options of every task. With the name of a task, such as cnn: its layers and its options.
    """
    sections: dict[str, Callable[[], str]] = {
        "backends": _backends,
        "tasks": _tasks,
        "datasets": _datasets,
        "results": lambda: _results(results, limit),
    }
    if kind is None:
        texts = [section() for section in sections.values()]
    elif kind == "tasks":
        texts = [_tasks(), _options(registry.names("task"))]
    elif kind in sections:
        texts = [sections[kind]()]
    elif kind in registry.names("task"):
        texts = [*_layers(kind), _options([kind])]
    else:
        context = click.get_current_context()
        click.Choice(_KINDS).convert(kind, context.command.params[0], context)
    echo("\n\n".join(texts))


def _table(title: str, rows: Sequence[tuple[str, ...]], headers: tuple[str, ...]) -> str:
    return f"{title}\n{fitted_table(rows, terminal_width(), headers)}"


def _backends() -> str:
    rows = []
    for name in registry.names("backend"):
        state, detail = installation(name)
        modes = "" if state == "broken" else ", ".join(registry.backend(name).modes)
        rows.append((name, modes, state, detail))
    return _table("Backends", rows, ("backend", "modes", "state", "versions or remedy"))


def _tasks() -> str:
    rows = []
    for name in registry.names("task"):
        try:
            definition = registry.task(name)
        except PluginError as error:
            rows.append((name, f"broken: {error}", ""))
        else:
            rows.append((name, definition.summary, ", ".join(definition.datasets)))
    return _table("Tasks", rows, ("task", "description", "data sets (first: default)"))


def _layers(name: str) -> Iterator[str]:
    """Yield a table of each network of a task, at the defaults of its options."""
    definition = registry.task(name)
    for network_name, network in define_task(definition, definition.options()).networks.items():
        rows = []
        for place in network.leaves():
            arrays = place.layer.parameters(place.input_shape)
            count = sum(math.prod(array.shape) for array in arrays.values())
            shapes = ", ".join(f"{each} {array.shape}" for each, array in arrays.items())
            fields = msgspec.structs.asdict(place.layer).items()
            options = ", ".join(f"{key}={value}" for key, value in fields if value is not None)
            rows.append((place.name, options, str(place.output_shape), f"{count:,}", shapes))
        title = (
            f"Network {network_name} of {name}: inputs {network.input_shape}, {network.parameter_count():,} "
        )
        headers = ("layer", "options", "outputs", "parameters", "shapes")
        yield _table(f"{title}parameters", rows, headers)


def _options(names: Sequence[str]) -> str:
    tables = []
    for name in names:
        try:
            described = describe_options(registry.task(name))
        except PluginError:
            continue
        rows = [(key, takes, str(default), text) for key, takes, default, text in described]
        headers = ("option", "value", "default", "description")
        tables.append(_table(f"Options of {name} (--set OPTION=VALUE)", rows, headers))
    return "\n\n".join(tables)


def _datasets() -> str:
    rows = [(name, dataset_state(name), _summary(name)) for name in registry.names("dataset")]
    return _table("Data sets", rows, ("data set", "state", "description"))


def _summary(name: str) -> str:
    try:
        return ask_source(name, lambda source: source.summary)
    except (PluginError, DataError):
        return ""


def _results(results: Path, limit: int) -> str:
    """List the newest results of every kind; read only the files that are shown."""
    every = records().results_in(results)
    if not every:
        return f"Results\nnone in {results}"
    rows = [_result(result) for result in every[-limit:][::-1]]
    title = f"Results in {results}, newest first (harness show ID{results_option(results)})"
    table = _table(title, rows, ("id", "kind", "task", "configuration", "outcome"))
    older = f"\n{len(every) - limit} older results are not shown (--limit N)" if len(every) > limit else ""
    return table + older


def _result(result: Result) -> tuple[str, ...]:
    kind, path = result
    try:
        record = kind.read(path)
    except UnreadableRecord:
        return _short_id(path), kind.name, NOTHING, NOTHING, "unreadable"
    try:
        row = kind.row_of(record)
    except PluginError as error:
        return _short_id(path), kind.name, NOTHING, NOTHING, str(error)
    return _short_id(path), kind.name, row.task, row.configurations, row.outcome


def _short_id(path: Path) -> str:
    short = _SHORT_ID.match(path.stem)
    return short[0] if short else path.stem
