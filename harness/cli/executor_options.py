"""The options that say where a command's work is executed: here, or on the nodes of a Ray cluster."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from harness.errors import UsageError

_F = TypeVar("_F", bound=Callable[..., Any])

_EXECUTOR = click.option(
    "--executor",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="local works on this machine, ray on the nodes of a Ray cluster: one run, or a whole duel, occupies "
    "a node.",
)
_ADDRESS = click.option(
    "--address",
    metavar="HOST:PORT",
    help="Ray cluster for --executor ray. Default: that of RAY_ADDRESS, or the one on this machine.",
)


def executor(function: _F) -> _F:
    """``executor``, which is local or ray, and ``address``, that of the cluster or None."""
    return _EXECUTOR(_ADDRESS(function))


def on_cluster(given: Mapping[str, Any]) -> bool:
    """Whether the work is executed on a cluster.

    Raises:
        UsageError: an address is given for no cluster.
    """
    if given["address"] is not None and given["executor"] != "ray":
        raise UsageError("--address is the address of a Ray cluster: give --executor ray, too.")
    return bool(given["executor"] == "ray")
