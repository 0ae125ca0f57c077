"""``harness list``: what is there to run and what has been run; imports no framework."""

from collections.abc import Callable, Sequence
from pathlib import Path

import click
from tabulate import tabulate

from harness import plugins
from harness.errors import PluginError
from harness.installation import installation
from harness.options import describe_options
from harness.store import Store

_NEWEST = 10


def _table(title: str, rows: Sequence[tuple[str, ...]], headers: tuple[str, ...]) -> str:
    return f"{title}\n{tabulate(rows, headers, tablefmt='simple', disable_numparse=True)}"


def _backends() -> str:
    rows = []
    for name in plugins.names("backend"):
        state, detail = installation(name)
        modes = "" if state == "broken" else ", ".join(plugins.backend(name).modes)
        rows.append((name, modes, state, detail))
    return _table("Backends", rows, ("name", "modes (first: default)", "state", ""))


def _tasks() -> str:
    rows = []
    for name in plugins.names("task"):
        try:
            definition = plugins.task(name)
        except PluginError as error:
            rows.append((name, f"broken: {error}", ""))
        else:
            rows.append((name, definition.summary, ", ".join(definition.datasets)))
    return _table("Tasks", rows, ("name", "what", "data sets (first: meant)"))


def _options() -> str:
    tables = []
    for name in plugins.names("task"):
        try:
            rows = describe_options(plugins.task(name))
        except PluginError:
            continue
        cells = [(key, takes, str(default), what) for key, takes, default, what in rows]
        tables.append(
            _table(f"Options of {name}, for --set KEY=VALUE", cells, ("key", "takes", "default", ""))
        )
    return "\n\n".join(tables)


def _datasets() -> str:
    rows = []
    for name in plugins.names("dataset"):
        try:
            source = plugins.dataset(name)
        except PluginError as error:
            rows.append((name, f"broken: {error}", ""))
        else:
            rows.append(
                (
                    name,
                    "here" if source.is_ready() else f"not here: harness data fetch {name}",
                    source.summary,
                )
            )
    return _table("Data sets", rows, ("name", "state", "what"))


def _results(results: Path) -> str:
    """The newest records by their file names: the cost does not grow with what is not shown."""
    paths = Store(results).paths()
    if not paths:
        return f"Results\nnone in {Store(results).folder} yet"
    names = "\n".join(path.stem for path in reversed(paths[-_NEWEST:]))
    more = f"\nand {len(paths) - _NEWEST} older" if len(paths) > _NEWEST else ""
    return f"Results in {Store(results).folder}, newest first (harness show ID)\n{names}{more}"


@click.command(short_help="List backends, tasks, data sets and results.")
@click.argument("what", required=False, type=click.Choice(["backends", "tasks", "datasets", "results"]))
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder of the records.",
)
def command(what: str | None, results: Path) -> None:
    """List what can be run and what was run: all of it, or one kind. `list tasks` tells their options."""
    sections: dict[str, Callable[[], str]] = {
        "backends": _backends,
        "tasks": _tasks,
        "datasets": _datasets,
        "results": lambda: _results(results),
    }
    if what is None:
        texts = [section() for section in sections.values()]
    elif what == "tasks":
        texts = [_tasks(), _options()]
    else:
        texts = [sections[what]()]
    click.echo("\n\n".join(texts))
