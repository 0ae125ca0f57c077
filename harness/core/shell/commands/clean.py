"""``harness clean``: remove the leftovers of killed processes and old cache entries."""

import sys
from pathlib import Path

import click

from harness.core.certify.kept_findings import old_certificates
from harness.core.documents.numbers import size_text
from harness.core.machine.leftovers import Found, Leftover, LeftoverSource
from harness.core.runs.leftovers import leftovers
from harness.core.shell import options
from harness.core.shell.features import asked
from harness.core.shell.printing import echo, print_error
from harness.errors import UsageError

_OF_RUNS = LeftoverSource(
    {
        "lost run": "a run whose process was killed, with its images; its measurements are incomplete",
        "unfinished file": "a file that a killed process was writing",
        "temporary folder": "a folder for temporary files of a process that no longer exists",
        "stale claim": "the claim on a run of a process that no longer exists",
        "certificate": "a cached certificate older than 30 days; it is recomputed when needed",
    },
    lambda results: Found([*leftovers(results), *old_certificates()]),
)
_HELP = """Remove files that are no longer needed, after listing them with their sizes.

\b
{kinds}

Files that several environments share are counted once. Records of finished results and data sets are never
removed.

Exit code: 0 if nothing is left to remove, 1 if something could not be removed, 2 if the input is wrong.
"""


def _help() -> str:
    """Return the help, with a line for each kind of leftover."""
    kinds = [*_OF_RUNS.kinds.items(), *asked("leftovers", lambda source: source.kinds.items())]
    return _HELP.format(kinds="\n".join(f"  {kind:<16}  {text}" for kind, text in kinds))


@click.command(help=_help())
@options.results
@click.option("--yes", is_flag=True, help="Remove without asking.")
@options.dry_run
@click.pass_context
def command(ctx: click.Context, results: Path, yes: bool, dry_run: bool) -> None:
    """Remove files that are no longer needed; the help is in :data:`_HELP`."""
    found = [_OF_RUNS.find(results), *asked("leftovers", lambda source: [source.find(results)])]
    items = [item for each in found for item in each.items]
    kept = " ".join(each.kept for each in found if each.kept)
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
    """Remove an item; return the reason if that fails, or None."""
    try:
        item.remove()
    except OSError as error:
        return f"{item.path} cannot be removed: {error.strerror}"
    return None
