"""``harness show``: one record in full."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import click

from harness.cli.messages import print_error
from harness.duel.files import DUELS, find_duel, read_duel
from harness.duel.record import encode
from harness.errors import UsageError, unknown_name
from harness.gate.files import GATES, find_gate, read_gate
from harness.gate.record import encode as encode_gate
from harness.report.details import record_details
from harness.report.gate import gate_text
from harness.report.terminal import runs_table, terminal_width
from harness.runs import record as records
from harness.runs import store
from harness.runs.store import Store, is_file

#: Names of a kind that an error offers.
_OFFERED = 10


@click.command(short_help="Print one record in full.")
@click.argument("name", metavar="RECORD")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder of the records.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="json: the record as it is stored.",
)
def command(name: str, results: Path, form: str) -> None:
    """Print one record in full. RECORD is a file, an id, the beginning of an id, or: last.

    It may be a run's, a duel's or a gate's; the last is of a run.
    """
    duel = find_duel(results, name) or _from_elsewhere(name, read_duel)
    gate = find_gate(results, name) or _from_elsewhere(name, read_gate)
    if duel is not None:
        _show_duel(duel, form)
    elif gate is not None:
        _show_gate(gate, form)
    else:
        _show_run(results, name, form)


def _from_elsewhere(name: str, read: Callable[[Path], object]) -> Path | None:
    """A file that is of this kind, though its folder does not say so: a job's artefact lies anywhere."""
    if is_file(name):
        with contextlib.suppress(UsageError):
            read(Path(name))
            return Path(name)
    return None


def _show_run(results: Path, name: str, form: str) -> None:
    if name == "last":
        path, record, unreadable = Store(results).last()
        for error in unreadable:
            print_error(f"passed over: {error}")
    else:
        path = _find_run(results, name)
        record = store.read(path)
    if form == "json":
        click.echo(records.encode(record), nl=False)
        return
    click.echo(path)
    click.echo(runs_table([record], terminal_width()))
    click.echo("\n" + record_details(record))


def _find_run(results: Path, name: str) -> Path:
    """The file of a run.

    Raises:
        UsageError: none fits; offers what of any kind is there.
    """
    others = [path.stem for folder in (DUELS, GATES) for path in sorted((results / folder).glob("*.json"))]
    runs = Store(results)
    if others and not is_file(name) and not any(one.stem.startswith(name) for one in runs.paths()):
        raise unknown_name(
            "record", name, [path.stem for path in runs.paths()[-_OFFERED:]] + others[-_OFFERED:]
        )
    return runs.find(name)


def _show_duel(path: Path, form: str) -> None:
    from harness.report.duel import duel_text  # NumPy stands behind it

    duel = read_duel(path)
    if form == "json":
        click.echo(encode(duel), nl=False)
        return
    click.echo(f"{path}\n\n{duel_text(duel)}")


def _show_gate(path: Path, form: str) -> None:
    gate = read_gate(path)
    if form == "json":
        click.echo(encode_gate(gate), nl=False)
        return
    click.echo(f"{path}\n\n{gate_text(gate)}")
