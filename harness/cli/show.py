"""``harness show``: one record in full."""

from pathlib import Path

import click

from harness import record as records
from harness import store
from harness.duel.files import find_duel, read_duel
from harness.duel.record import encode
from harness.report.details import record_details
from harness.report.terminal import runs_table, terminal_width
from harness.store import Store


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

    It may be a run's or a duel's; the last is of a run.
    """
    duel = find_duel(results, name)
    if duel is not None:
        _show_duel(duel, form)
        return
    if name == "last":
        path, record, unreadable = Store(results).last()
        for error in unreadable:
            click.echo(f"harness: passed over: {error}", err=True)
    else:
        path = Store(results).find(name)
        record = store.read(path)
    if form == "json":
        click.echo(records.encode(record), nl=False)
        return
    click.echo(path)
    click.echo(runs_table([record], terminal_width()))
    click.echo("\n" + record_details(record))


def _show_duel(path: Path, form: str) -> None:
    from harness.report.duel import duel_text  # NumPy stands behind it

    duel = read_duel(path)
    if form == "json":
        click.echo(encode(duel), nl=False)
        return
    click.echo(f"{path}\n\n{duel_text(duel)}")
