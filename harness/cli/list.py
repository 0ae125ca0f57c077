"""``harness list``: what is there to run and what has been run; imports no framework."""

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from harness.cli import options
from harness.errors import DataError, PluginError
from harness.plugins import registry
from harness.plugins.installation import installation
from harness.plugins.options import describe_options
from harness.report.fitting import fitted_table
from harness.report.terminal import terminal_width
from harness.runs.data_choice import ask_source
from harness.runs.record import Record
from harness.runs.store import Store, UnreadableRecord, read_all

_NEWEST = 10
#: What is shown of an id: its date and time, which `harness show` takes for the whole.
_ID_LENGTH = len("20260101-000000")


def _table(title: str, rows: Sequence[tuple[str, ...]], headers: tuple[str, ...]) -> str:
    return f"{title}\n{fitted_table(rows, terminal_width(), headers)}"


def _backends() -> str:
    rows = []
    for name in registry.names("backend"):
        state, detail = installation(name)
        modes = "" if state == "broken" else ", ".join(registry.backend(name).modes)
        rows.append((name, modes, state, detail))
    return _table("Backends", rows, ("name", "modes (first: default)", "state", ""))


def _tasks() -> str:
    rows = []
    for name in registry.names("task"):
        try:
            definition = registry.task(name)
        except PluginError as error:
            rows.append((name, f"broken: {error}", ""))
        else:
            rows.append((name, definition.summary, ", ".join(definition.datasets)))
    return _table("Tasks", rows, ("name", "what", "data sets (first: meant)"))


def _options() -> str:
    tables = []
    for name in registry.names("task"):
        try:
            rows = describe_options(registry.task(name))
        except PluginError:
            continue
        cells = [(key, takes, str(default), what) for key, takes, default, what in rows]
        tables.append(
            _table(f"Options of {name}, for --set KEY=VALUE", cells, ("key", "takes", "default", ""))
        )
    return "\n\n".join(tables)


def _datasets() -> str:
    rows = []
    for name in registry.names("dataset"):
        try:
            summary, here = ask_source(name, lambda source: (source.summary, source.is_ready()))
        except (PluginError, DataError) as error:
            rows.append((name, f"broken: {error}", ""))
        else:
            rows.append((name, "here" if here else f"not here: harness data fetch {name}", summary))
    return _table("Data sets", rows, ("name", "state", "what"))


def _results(results: Path, limit: int) -> str:
    """The newest records; reads no more files than it shows."""
    store = Store(results)
    paths = store.paths()
    if not paths:
        return f"Results\nnone in {store.folder} yet"
    shown = paths[-limit:][::-1]
    rows = [_result(path, record) for path, record in zip(shown, read_all(shown), strict=True)]
    title = f"Results in {store.folder}, newest first (harness show ID)"
    table = _table(title, rows, ("id", "task", "backend", "status", "test accuracy"))
    more = f"\nand {len(paths) - limit} older (--limit N shows more)" if len(paths) > limit else ""
    return table + more


def _result(path: Path, record: Record | UnreadableRecord) -> tuple[str, ...]:
    if isinstance(record, UnreadableRecord):
        return path.stem, "", "", "unreadable", ""
    accuracy = (record.test_at_last or {}).get("accuracy")
    told = "–" if accuracy is None else f"{accuracy:.4f}"
    return path.stem[:_ID_LENGTH], record.task.name, record.label, record.status, told


@click.command(short_help="List backends, tasks, data sets and results.")
@click.argument("what", required=False, type=click.Choice(["backends", "tasks", "datasets", "results"]))
@options.results
@click.option(
    "--limit", type=click.IntRange(min=1), default=_NEWEST, show_default=True, help="Results to show."
)
def command(what: str | None, results: Path, limit: int) -> None:
    """List what can be run and what was run: all of it, or one kind. `list tasks` tells their options."""
    sections: dict[str, Callable[[], str]] = {
        "backends": _backends,
        "tasks": _tasks,
        "datasets": _datasets,
        "results": lambda: _results(results, limit),
    }
    if what is None:
        texts = [section() for section in sections.values()]
    elif what == "tasks":
        texts = [_tasks(), _options()]
    else:
        texts = [sections[what]()]
    click.echo("\n\n".join(texts))
