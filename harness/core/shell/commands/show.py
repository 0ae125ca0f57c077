"""``harness show``: one record of any kind in full."""

from pathlib import Path

import click
import msgspec

from harness.core.documents.document import Document
from harness.core.runs.record import Record
from harness.core.shell import completion, features, options
from harness.core.shell.features import records
from harness.core.shell.printing import echo, echo_json, print_error


@click.command()
@click.argument("name", metavar="RECORD", shell_complete=completion.RECORD)
@options.results
@options.form
def command(name: str, results: Path, form: str) -> None:
    """Print one record in full: a run, a duel, a gate, a study, or of any other kind.

    RECORD is a file, an id, the beginning of an id, or last (the newest of any kind). --format json prints
    the record as it is stored.
    """
    if name == "last":
        (kind, path), record, unreadable = records().last(results)
        for error in unreadable:
            print_error(f"skipped: {error}")
    else:
        kind, path = records().find(results, name)
        record = kind.read(path)
    if form == "json":
        echo_json(msgspec.json.format(msgspec.json.encode(record), indent=1))
        return
    echo(f"{path}\n\n{kind.text_of(record, path)}")


def run_document(record: Record) -> Document:
    """Show a run in full, with the facts that features add."""
    from harness.core.runs.page import record_document  # other kinds do without it

    return record_document(record, features.hooked("after_training"))
