"""The end of a command: printing its result, writing it to files, and the exit code of its status."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from harness.core.documents.files import write_text
from harness.core.documents.kinds import RecordKind, Status
from harness.core.documents.results import results_option
from harness.core.shell.options import OutputOptions
from harness.core.shell.paths import UNUSABLE, shown
from harness.core.shell.printing import echo, echo_json
from harness.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from harness.core.documents.document import Document

INTERRUPTED = 130


def code_of(status: Status, ok: int = 0) -> int:
    """Return the exit code for the ``status`` of a record; ``ok`` is the code of a success."""
    return {"ok": ok, "interrupted": INTERRUPTED}.get(status, 1)


def deliver(
    kind: RecordKind[Any], record: Any, path: Path, options: OutputOptions, *, page_of: str = ""
) -> None:
    """Print a new record as JSON, or as text with the place of its file.

    ``page_of`` is the name by which `harness report` finds the record, to make a page of it.
    """
    if options.form == "json":
        echo_json(msgspec.json.encode(record))
        return
    echo(kind.text_of(record, path))
    if path.exists():
        where = results_option(options.results)
        page = f"Page: harness report {page_of}{where} --to {kind.name}.html\n" if page_of else ""
        echo(f"\n{page}Record: {path}")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn failures to write a file of ``--to`` into errors for the user."""
    try:
        yield
    except ImportError as error:
        raise UsageError(
            f'--to {path.name} needs {error.name or error} from the extra "report": '
            'pip install "dl-harness[report]"'
        ) from error
    except OSError as error:
        kind = UsageError if error.errno in UNUSABLE else HarnessError
        raise kind(f"cannot write {shown(str(path))}: {error.strerror or error}") from error


def write_document(document: "Document", path: Path) -> None:
    """Write a document as Markdown or as a page, by the suffix of the path. Raise as :func:`writing`."""
    with writing(path):
        if path.suffix == ".md":
            from harness.core.documents.render.markdown import markdown

            write_text(path, markdown(document))
        else:
            from harness.core.documents.render.html import html_page

            write_text(path, html_page(document))
