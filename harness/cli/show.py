"""``harness show``: one record in full, of a run, a duel, a gate or a study."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import click

from harness.analysis.study import STUDIES, read_study
from harness.cli import options
from harness.cli.messages import print_error
from harness.duel.files import DUELS, find_duel, read_duel
from harness.duel.record import encode
from harness.errors import UsageError
from harness.gate.files import GATES, find_gate, read_gate
from harness.gate.record import encode as encode_gate
from harness.report.details import record_details
from harness.report.gate import gate_text
from harness.report.terminal import runs_table, terminal_width
from harness.runs import record as records
from harness.runs import store
from harness.runs.documents import find_document
from harness.runs.store import Store, is_file, unknown_record


@click.command()
@click.argument("name", metavar="RECORD")
@options.results
@options.form
def command(name: str, results: Path, form: str) -> None:
    """Print the record of a run, a duel, a gate or a study in full.

    RECORD is a file, an id, the beginning of an id, or last (the newest run). --format json prints the
    record as it is stored.
    """
    duel = find_duel(results, name) or _elsewhere(name, read_duel)
    gate = find_gate(results, name) or _elsewhere(name, read_gate)
    study = find_document(results / STUDIES, name) or _elsewhere(name, read_study)
    if duel is not None:
        _show_duel(duel, form)
    elif gate is not None:
        _show_gate(gate, form)
    elif study is not None:
        _show_study(study, form)
    else:
        _show_run(results, name, form)


def _elsewhere(name: str, read: Callable[[Path], object]) -> Path | None:
    """The file, if its content is of this kind: the artefact of a CI job may lie in any folder."""
    if is_file(name):
        with contextlib.suppress(UsageError):
            read(Path(name))
            return Path(name)
    return None


def _show_run(results: Path, name: str, form: str) -> None:
    if name == "last":
        path, record, unreadable = Store(results).last()
        for error in unreadable:
            print_error(f"skipped: {error}")
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
        UsageError: no run has this id.
    """
    runs = Store(results)
    others = any(any((results / folder).glob("*.json")) for folder in (DUELS, GATES, STUDIES))
    if others and not runs.paths() and not is_file(name):
        raise unknown_record(name, results)
    return runs.find(name)


def _show_duel(path: Path, form: str) -> None:
    from harness.report.duel import duel_text  # NumPy is behind it

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


def _show_study(path: Path, form: str) -> None:
    from harness.report.study import study_text  # NumPy is behind it

    study = read_study(path)
    if form == "json":
        click.echo(path.read_text("utf-8"), nl=False)
        return
    click.echo(f"{path}\n\n{study_text(study, Store(path.parent.parent))}")
