"""``harness ledger``: the semantic differences between frameworks that were aligned."""

import click
from tabulate import tabulate

from harness.report.terminal import terminal_width
from harness.testing.ledger import LEDGER, Costs, Entry, measured_costs


@click.command(short_help="Print where frameworks differ by default, and what is pinned.")
def command() -> None:
    """Print what each framework does by default, and what every task pins so that the work is the same.

    Below, what a default would have cost or gained where it is a number, as it was measured.
    """
    headers = [field.replace("_", " ") for field in Entry._fields]
    click.echo(tabulate(LEDGER, headers, tablefmt="simple_grid", maxcolwidths=_widths(len(headers))))
    click.echo(_costs_table(measured_costs()))


def _widths(columns: int) -> list[int]:
    column = max(14, (terminal_width() - 2 * (columns - 1)) // columns)
    return [column - 2] * columns


def _costs_table(costs: Costs) -> str:
    rows = [
        (
            cost.topic,
            cost.default,
            cost.task,
            f"{cost.score}: {cost.pinned:.1f}",
            f"{cost.difference:+.2f} [{cost.low:+.2f}, {cost.high:+.2f}]",
            cost.seeds,
        )
        for cost in costs.costs
    ]
    headers = ("topic", "default", "on", "as pinned", "the default changed it by", "seeds")
    table = tabulate(rows, headers, tablefmt="simple_grid", maxcolwidths=_widths(len(headers)))
    return (
        f"\nMeasured with JAX {costs.jax} on {costs.made}: the mean over seeds of the paired differences,\n"
        f"with its 95 % interval (one in twenty of which misses the truth).\n{table}"
    )
