"""``harness clean``: remove what killed processes and caches have left, after showing it."""

import sys
from pathlib import Path

import click

from harness.certify.certificates import old_certificates
from harness.cli import options
from harness.cli.printing import echo, print_error
from harness.errors import UsageError
from harness.gate.environment_cache import old_environments
from harness.machine.leftovers import Leftover
from harness.report.numbers import size_text
from harness.runs.leftovers import leftovers


@click.command()
@options.results
@click.option("--yes", is_flag=True, help="Remove without asking.")
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@click.pass_context
def command(ctx: click.Context, results: Path, yes: bool, dry_run: bool) -> None:
    """Remove what nothing needs any more, after showing it with its size.

    \b
      lost run          a run whose process was killed, with its pictures; its measurements are incomplete
      unfinished file   a file that a killed process was writing
      stale claim       a claim on a run, of a process that is gone
      gate environment  a virtual environment of an earlier day, which no gate uses again
      certificate       a kept certificate older than 30 days, which is made again when it is needed

    The record of a run that has ended is never removed, nor are data sets, duels, gates and studies.

    Exit code: 0 if all is removed or nothing is left, 1 if something could not be removed, 2 if the input is
    wrong.
    """  # noqa: D301  click's mark for lines that it must not wrap
    found = [*leftovers(results), *old_environments(), *old_certificates()]
    if not found:
        echo(f"Nothing to remove in {results} and the caches.")
        return
    for left in found:  # not a table: paths stay whole
        echo(f"{left.kind:<16}  {size_text(left.size_bytes):>10}  {left.path}")
    number = f"{len(found)} item{'s' * (len(found) > 1)}, {size_text(sum(left.size_bytes for left in found))}"
    if dry_run:
        echo(f"\n{number}. Nothing was removed (--dry-run).")
        return
    if not yes and not _confirmed(number):
        echo("Nothing was removed.")
        return
    failures = [failure for left in found if (failure := _failure(left)) is not None]
    for failure in failures:
        print_error(failure)
    echo(f"Removed {len(found) - len(failures)} of {number}.")
    ctx.exit(1 if failures else 0)


def _confirmed(number: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("standard input is no terminal; give --yes to remove all this, or --dry-run.")
    return click.confirm(f"\nRemove {number}?")


def _failure(left: Leftover) -> str | None:
    """Remove something; why it could not be removed, or None."""
    try:
        left.remove()
    except OSError as error:
        return f"{left.path} cannot be removed: {error.strerror}"
    return None
