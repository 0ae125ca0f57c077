"""``harness publish``: a static site from the records of a results folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from harness.core.shell import options
from harness.core.shell.options import report_unreadable
from harness.core.shell.paths import UserPath
from harness.core.shell.plugin_option import plugin_option
from harness.core.shell.printing import echo, echo_json, print_error_line
from harness.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Given:
    """The values of the parameters of ``harness publish``."""

    folder: Path
    results: Path
    title: str
    form: Literal["table", "json"]
    quiet: bool


@click.command()
@click.argument("folder", type=UserPath(file_okay=False))
@options.results
@click.option("--title", default="Benchmarks", show_default=True, help="Title of the start page.")
@options.form
@options.quiet
@plugin_option(unnamed_means_all=True)
@options.given_as(Given)
def command(ctx: click.Context, given: Given) -> None:
    """Write a static site from all records of a results folder into FOLDER.

    The start page has the answer of each task and what changed lately. There is a page for each task,
    machine and record, for all gates of a branch, and for each series of them; records can be searched.
    The site needs no server and no network: open FOLDER/index.html, or let any web server show the folder.

    \b
      harness publish site
      harness publish site --results records --title "Benchmarks of my project"

    A repeated command makes only what changed. The address of a page stays. FOLDER has copies of the
    records without names of hosts and users, home folders and secrets; private texts in files of your own
    are not looked for. In a clone of the repository, commits have their titles and links.

    Exit code: 0, 1 if a file was skipped because it could not be read, 2 on wrong input.
    """  # noqa: D301  click's mark for lines that it must not wrap
    from harness.core.documents.files import fill_folder

    if not given.results.is_dir():
        raise UsageError(f"there is no folder {given.results}; give the folder of the records with --results")
    if given.folder.resolve() == given.results.resolve():
        raise UsageError(f"{given.folder} is the folder of the records; give another one for the site")
    try:
        from harness.sharing.publish.site import publish
    except ImportError as error:
        raise UsageError(f'this needs {error.name}: pip install "dl-harness[report,history]"') from error
    fill_folder(given.folder)

    def report(text: str) -> None:
        if not given.quiet:
            print_error_line(text)

    done = publish(given.results, given.folder, given.title, Path.cwd(), report)
    if given.form == "json":
        import msgspec

        echo_json(msgspec.json.encode(done._asdict()))
    else:
        echo(
            f"{given.folder / 'index.html'}: {done.records} records on {done.pages} pages, "
            f"{done.made} made now, {done.removed} files removed"
        )
    ctx.exit(report_unreadable(done.faults))
