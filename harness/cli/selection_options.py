"""Arguments and messages that the commands share which read records."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from harness.cli.ending import complain

SOME_UNREADABLE = 1


def check_finite(_ctx: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse what click takes for a number and no comparison can use."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number", param=parameter)
    return value


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
        click.option(
            "--results",
            type=click.Path(path_type=Path, file_okay=False),
            default=Path("results"),
            show_default=True,
            help="Folder of the records, where the selection names no file.",
        ),
        click.argument("selection", nargs=-1),
    ):
        function = decorate(function)
    return function


def tell_unreadable(unreadable: list[str]) -> int:
    """Name the files that could not be read on standard error; the exit code that says so."""
    for sentence in unreadable[:10]:
        complain(f"skipped: {sentence}")
    if len(unreadable) > 1:
        complain(f"{len(unreadable)} files were skipped")
    return SOME_UNREADABLE if unreadable else 0
