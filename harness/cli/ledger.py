"""``harness ledger``: the semantic differences between frameworks that were aligned."""

import click
from tabulate import tabulate

from harness.ledger import LEDGER, Entry
from harness.report.terminal import terminal_width


@click.command(short_help="Print where frameworks differ by default, and what is pinned.")
def command() -> None:
    """Print what each framework does by default, and what every task pins so that the work is the same."""
    headers = [field.replace("_", " ") for field in Entry._fields]
    column = max(14, (terminal_width() - 2 * (len(headers) - 1)) // len(headers))
    click.echo(tabulate(LEDGER, headers, tablefmt="simple_grid", maxcolwidths=[column - 2] * len(headers)))
