"""``harness ledger``: the differences between frameworks that the tasks remove."""

import click
from tabulate import tabulate

from harness.core.certify.ledger import LEDGER, Costs, Entry, measured_costs
from harness.core.documents.numbers import estimate
from harness.core.documents.render.terminal import terminal_width
from harness.core.shell.printing import echo

_NARROWEST = 12


@click.command()
def command() -> None:
    """Print the defaults of each framework, and the settings that tasks fix so that the work is equal.

    A second table gives the measured effect of numeric defaults.
    """
    headers = [field.replace("_", " ") for field in Entry._fields]
    echo(tabulate(LEDGER, headers, tablefmt="simple_grid", maxcolwidths=_widths(len(headers))))
    echo(_costs_table(measured_costs()))


def _widths(columns: int) -> list[int]:
    return [max(_NARROWEST, (terminal_width() - 2 * (columns - 1)) // columns - 2)] * columns


def _costs_table(costs: Costs) -> str:
    rows = [
        (
            cost.topic,
            cost.default,
            cost.task,
            f"{cost.score}: {cost.pinned:.1f}",
            estimate(cost.difference, 2, sign=True),
            cost.difference.n,
        )
        for cost in costs.costs
    ]
    headers = ("topic", "default", "task", "score as fixed", "change with the default", "seeds")
    table = tabulate(rows, headers, tablefmt="simple_grid", maxcolwidths=_widths(len(headers)))
    return (
        f"\nEffect of a default, measured with JAX {costs.jax} on {costs.made}: mean difference over paired\n"
        f"seeds with its 95 % confidence interval.\n{table}"
    )
