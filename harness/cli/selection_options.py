"""Arguments and messages of the commands that read records."""

from collections.abc import Callable
from typing import Any

import click

from harness.cli import completion, options
from harness.cli.messages import print_error

SOME_UNREADABLE = 1
_MOST_NAMED = 10


def selection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The argument SELECTION and the options ``--by``, ``--results``, ``--margin`` and ``--target``."""
    for decorate in (
        click.option(
            "--target",
            type=float,
            callback=options.check_finite,
            metavar="SCORE",
            help="Report the training time to this validation score. Default: a round value that every run "
            "reaches, or of settings every run of half of them.",
        ),
        click.option(
            "--margin",
            type=click.FloatRange(min=0, min_open=True),
            callback=options.check_finite,
            metavar="POINTS",
            help="Treat a smaller difference in quality as equal. Default: 1 point of accuracy, 5 % of other "
            "scores.",
        ),
        click.option(
            "--by",
            metavar="NAME[,NAME]",
            help="Compare the values of a task option or field, all else being equal: optimizer, batch_size, "
            "precision, threads, epochs, … Default: what varies, if only one does, and otherwise backend.",
        ),
        options.results,
        click.argument("selection", nargs=-1, shell_complete=completion.RECORD),
    ):
        function = decorate(function)
    return function


def report_unreadable(messages: list[str]) -> int:
    """Print on standard error why files were skipped; the exit code that results."""
    for message in messages[:_MOST_NAMED]:
        print_error(f"skipped: {message}")
    if len(messages) > 1:
        print_error(f"{len(messages)} files were skipped")
    return SOME_UNREADABLE if messages else 0
