"""``harness list``: what can be run and what was run. Imports no framework."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from harness.analysis.results import Result, results_in
from harness.cli import options
from harness.cli.data import dataset_state
from harness.cli.printing import echo
from harness.duel.mode_times import all_kept
from harness.errors import DataError, PluginError
from harness.plugins import registry
from harness.plugins.installation import installation
from harness.plugins.options import describe_options
from harness.report.duel import modes_row
from harness.report.numbers import NOTHING
from harness.report.render.terminal import fitted_table, terminal_width
from harness.report.results import VIEWS
from harness.runs.documents import UnreadableRecord
from harness.runs.request import ask_source
from harness.runs.store import results_option

_KINDS = ["backends", "tasks", "datasets", "results"]
_NEWEST = 10
#: The part of an id that is printed, which `harness show` accepts: its date and time, or its beginning.
_SHORT_ID = re.compile(r"\d{8}-\d{6}|.{1,26}")


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
        "tasks": lambda: "\n\n".join([_tasks(), *_fastest_modes()]),
        "datasets": _datasets,
        "results": lambda: _results(results, limit),
    }
    if kind is None:
        texts = [section() for section in sections.values()]
    elif kind == "tasks":
        texts = [_tasks(), *_fastest_modes(), _options()]
    else:
        texts = [sections[kind]()]
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


def _fastest_modes() -> list[str]:
    """What was measured here; empty where nothing was."""
    rows = [modes_row(times) for times in all_kept()]
    headers = ("task", "backend", "fastest", "others", "measured with")
    return [_table("Fastest modes on this machine (BACKEND:best)", rows, headers)] if rows else []


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
    """The newest results of every kind. Reads only the files that are shown."""
    found = results_in(results)
    if not found:
        return f"Results\nnone in {results}"
    rows = [_result(result) for result in found[-limit:][::-1]]
    title = f"Results in {results}, newest first (harness show ID{results_option(results)})"
    table = _table(title, rows, ("id", "kind", "task", "configuration", "outcome"))
    older = f"\n{len(found) - limit} older results are not shown (--limit N)" if len(found) > limit else ""
    return table + older


def _result(result: Result) -> tuple[str, ...]:
    kind, path = result
    try:
        row = VIEWS[kind.name].row(kind.read(path))
    except UnreadableRecord:
        return _short_id(path), kind.name, NOTHING, NOTHING, "unreadable"
    return _short_id(path), kind.name, *row


def _short_id(path: Path) -> str:
    short = _SHORT_ID.match(path.stem)
    return short[0] if short else path.stem
