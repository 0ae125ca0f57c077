"""Arguments and messages that the commands share which read records."""

from collections.abc import Callable
from typing import Any

import click

from harness.cli import options
from harness.cli.messages import print_error
from harness.cli.options import check_finite

SOME_UNREADABLE = 1


def selection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The argument SELECTION and the options that bear on what is found."""
    for decorate in (
        click.option(
            "--target",
            type=float,
            callback=check_finite,
            metavar="SCORE",
            help="Validation score whose time is told. Default: a round value that every run reaches.",
        ),
        click.option(
            "--margin",
            type=click.FloatRange(min=0, min_open=True),
            callback=check_finite,
            metavar="POINTS",
            help="Difference in quality that counts as none. Default: 1 point of accuracy, "
            "5 % of other scores.",
        ),
        options.results,
        click.argument("selection", nargs=-1),
    ):
        function = decorate(function)
    return function


def tell_unreadable(unreadable: list[str]) -> int:
    """Name the files that could not be read on standard error; the exit code that says so."""
    for sentence in unreadable[:10]:
        print_error(f"skipped: {sentence}")
    if len(unreadable) > 1:
        print_error(f"{len(unreadable)} files were skipped")
    return SOME_UNREADABLE if unreadable else 0
