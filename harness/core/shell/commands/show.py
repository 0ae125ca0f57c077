"""``harness show``: one result in full: a run, a duel, a gate or a study."""

from pathlib import Path

import click
import msgspec

from harness.core.documents.document import Document
from harness.core.documents.find import find_result, last_result
from harness.core.documents.views import VIEWS
from harness.core.runs.record import Record
from harness.core.shell import completion, features, options
from harness.core.shell.printing import (
    echo,
    echo_json,
    print_error,
)


@click.command()
@click.argument("name", metavar="RECORD", shell_complete=completion.RECORD)
@options.results
@options.form
def command(name: str, results: Path, form: str) -> None:
    """Print the record of a run, a duel, a gate or a study in full.

    RECORD is a file, an id, the beginning of an id, or last (the newest of any kind). --format json prints
    the record as it is stored.
    """
    if name == "last":
        (kind, path), record, unreadable = last_result(results)
        for error in unreadable:
            print_error(f"skipped: {error}")
    else:
        kind, path = find_result(results, name)
        record = kind.read(path)
    if form == "json":
        echo_json(msgspec.json.format(msgspec.json.encode(record), indent=1))
        return
    echo(f"{path}\n\n{VIEWS[kind.name].text(record, path)}")


def run_document(record: Record) -> Document:
    """Show a run in full, with the facts that features add."""
    from harness.core.runs.page import record_document  # other kinds do without it

    return record_document(record, features.hooked("after_training"))
