"""``harness list``: what can be run and what was run. Imports no framework."""

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from harness.cli import options
from harness.cli.dataset_state import dataset_state
from harness.errors import DataError, PluginError
from harness.plugins import registry
from harness.plugins.installation import installation
from harness.plugins.options import describe_options
from harness.report.fitting import fitted_table
from harness.report.numbers import NOTHING
from harness.report.scores import test_score
from harness.report.terminal import terminal_width
from harness.runs.data_choice import ask_source
from harness.runs.record import Record
from harness.runs.store import Store, UnreadableRecord, read_all, results_option

_KINDS = ["backends", "tasks", "datasets", "results"]
_NEWEST = 10
#: The part of an id that is printed, its date and time: `harness show` accepts it.
_ID_LENGTH = len("20260101-000000")


class _Kind(click.Argument):
    """The argument KIND, named so in errors, too: click would write ``[KIND]``."""

    def get_error_hint(self, _ctx: click.Context | None) -> str:
        return "'KIND'"


@click.command()
@click.argument("kind", cls=_Kind, metavar="[KIND]", required=False, type=click.Choice(_KINDS))
@options.results
@click.option(
    "--limit",
    type=options.WholeNumber(min=1),
    default=_NEWEST,
    show_default=True,
    metavar="N",
    help="Number of results, newest first.",
)
@options.plugin
def command(kind: str | None, results: Path, limit: int) -> None:
    """List what can be run and what was run.

    KIND is backends, tasks, datasets or results. Default: all of them. `harness list tasks` also lists the
    options of every task.
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
        texts = [_tasks(), _options()]
    else:
        texts = [sections[kind]()]
    click.echo("\n\n".join(texts))


def _table(title: str, rows: Sequence[tuple[str, ...]], headers: tuple[str, ...]) -> str:
    return f"{title}\n{fitted_table(rows, terminal_width(), headers)}"


def _backends() -> str:
    rows = []
    for name in registry.names("backend"):
        state, detail = installation(name)
        modes = "" if state == "broken" else ", ".join(registry.backend(name).modes)
        rows.append((name, modes, state, detail))
    return _table("Backends", rows, ("backend", "modes (first: default)", "state", "versions or remedy"))


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


def _options() -> str:
    tables = []
    for name in registry.names("task"):
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
    """The newest records. Reads only the files that are shown."""
    store = Store(results)
    paths = store.paths()
    if not paths:
        return f"Results\nnone in {store.folder}"
    shown = paths[-limit:][::-1]
    rows = [_result(path, record) for path, record in zip(shown, read_all(shown), strict=True)]
    title = f"Results in {store.folder}, newest first (harness show ID{results_option(results)})"
    table = _table(title, rows, ("id", "task", "backend", "status", "test score"))
    older = f"\n{len(paths) - limit} older results are not shown (--limit N)" if len(paths) > limit else ""
    return table + older


def _result(path: Path, record: Record | UnreadableRecord) -> tuple[str, ...]:
    if isinstance(record, UnreadableRecord):
        return path.stem, "", "", "unreadable", ""
    score = test_score(record) if record.test_at_last else NOTHING
    return path.stem[:_ID_LENGTH], record.task.name, record.label, record.status, score
