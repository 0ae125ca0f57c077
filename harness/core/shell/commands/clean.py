"""``harness clean``: remove the leftovers of killed processes and old cache entries."""

import sys
from pathlib import Path

import click

from harness.core.certify.certificates import old_certificates
from harness.core.documents.numbers import size_text
from harness.core.machine.leftovers import Leftover
from harness.core.runs.leftovers import leftovers
from harness.core.shell import options
from harness.core.shell.printing import echo, print_error
from harness.errors import UsageError
from harness.timing.environments.cache import environments_in_cache


@click.command()
@options.results
@click.option("--yes", is_flag=True, help="Remove without asking.")
@click.option("--dry-run", is_flag=True, help="List what would be removed, without removing it.")
@click.pass_context
def command(ctx: click.Context, results: Path, yes: bool, dry_run: bool) -> None:
    """Remove files that are no longer needed, after listing them with their sizes.

    \b
      lost run          a run whose process was killed, with its images; its measurements are incomplete
      unfinished file   a file that a killed process was writing
      stale claim       the claim on a run of a process that no longer exists
      environment       a virtual environment from an earlier day, which is not used again
      certificate       a cached certificate older than 30 days; it is recomputed when needed

    What several environments share is counted once. Those of today are kept; their number and size are shown.
    Records of finished runs, data sets, duels, gates and studies are never removed.

    Exit code: 0 if nothing is left to remove, 1 if something could not be removed, 2 if the input is wrong.
    """  # noqa: D301  click's mark for lines that it must not wrap
    environments = environments_in_cache()
    items = [*leftovers(results), *environments.old, *old_certificates()]
    if environments.kept:
        number = f"{environments.kept} environment{'s' * (environments.kept > 1)} of today"
        kept = f"Kept: {number}, {size_text(environments.kept_bytes)}."
    else:
        kept = ""
    if not items:
        echo(f"Nothing to remove in {results} and the caches." + f" {kept}" * bool(kept))
        return
    for item in items:  # not a table: paths stay whole
        echo(f"{item.kind:<16}  {size_text(item.size_bytes):>10}  {item.path}")
    if kept:
        echo(kept)
    number = f"{len(items)} item{'s' * (len(items) > 1)}, {size_text(sum(item.size_bytes for item in items))}"
    if dry_run:
        echo(f"\n{number}. Nothing was removed (--dry-run).")
        return
    if not yes and not _confirmed(number):
        echo("Nothing was removed.")
        return
    failures = [failure for item in items if (failure := _failure(item)) is not None]
    for failure in failures:
        print_error(failure)
    echo(f"Removed {len(items) - len(failures)} of {number}.")
    ctx.exit(1 if failures else 0)


def _confirmed(number: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("standard input is not a terminal; give --yes to remove all of this, or --dry-run.")
    return click.confirm(f"\nRemove {number}?")


def _failure(item: Leftover) -> str | None:
    """Remove an item; returns the reason if that fails, or None."""
    try:
        item.remove()
    except OSError as error:
        return f"{item.path} cannot be removed: {error.strerror}"
    return None
