"""``harness publish``: a static site of all records of a results folder."""

import re
from pathlib import Path

import click

from harness.core.shell import options
from harness.core.shell.ending import writing
from harness.core.shell.paths import OutputFolder
from harness.core.shell.printing import echo
from harness.errors import UsageError

_ADDRESS = re.compile(r"https://[\w.-]+(?::\d+)?/[\w./~%-]+")


@click.command()
@click.argument("folder", type=OutputFolder())
@options.results
@click.option(
    "--repository",
    default="",
    metavar="URL",
    help="Address of the repository on the web, such as https://github.com/me/project, to link commits.",
)
@click.option("--title", default="Benchmarks", show_default=True, help="Title of the site.")
@options.plugin
@click.pass_context
def command(ctx: click.Context, /, folder: Path, results: Path, repository: str, title: str) -> None:
    """Write a static site of all records into FOLDER.

    The site needs neither a server nor a network: open index.html, or serve the folder. It has the answer
    of each task, a page and the JSON of each record, and the level changes of the branch.

    FOLDER is new, empty, or from an earlier call, whose pages are made anew.

    \b
      harness publish site
      harness publish site --results ci/results --repository https://github.com/me/project

    Exit code: 0, 1 if a record could not be read, 2 on wrong input.
    """  # noqa: D301  click's mark for lines that it must not wrap
    if repository and not _ADDRESS.fullmatch(repository):
        raise UsageError(f"--repository {repository}: give an address such as https://github.com/me/project")
    if folder.resolve() == results.resolve() or results.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{folder} has the records themselves; give another folder, such as site")
    with writing(folder):
        from harness.sharing.publish.site import publish

        made = publish(results, folder, title, repository)
    code = options.report_unreadable(made.problems)
    echo(f"{made.records:,} records: {folder / 'index.html'}")
    ctx.exit(code)
