"""The options that say how often, and on how much data, a run is scored."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from harness.cli.options import WholeNumber
from harness.errors import UsageError
from harness.runs.record import Evaluation

_F = TypeVar("_F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--eval-every",
        type=WholeNumber(min=1),
        metavar="N",
        help="Score after every N epochs and after the last. The best epoch is one of those scored. Default: "
        "every epoch.",
    ),
    click.option(
        "--eval-samples",
        type=WholeNumber(min=1),
        metavar="N",
        help="Score on at most N training and N validation samples, the same in every run. The test data is "
        "always scored as a whole. Default: all samples.",
    ),
    click.option("--no-eval", is_flag=True, help="Score nothing, not even the test data."),
)


def evaluation(function: _F) -> _F:
    """``--eval-every``, ``--eval-samples`` and ``--no-eval``, for :func:`evaluation_of`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def evaluation_of(given: dict[str, Any]) -> Evaluation:
    """The evaluation that the options ask for.

    Raises:
        UsageError: nothing is to be scored, yet an option says how.
    """
    every, samples = given["eval_every"], given["eval_samples"]
    if not given["no_eval"]:
        return Evaluation(every or 1, samples)
    if every or samples:
        option = "--eval-every" if every else "--eval-samples"
        raise UsageError(f"--no-eval scores nothing; leave out {option} or --no-eval.")
    return Evaluation(every_epochs=None)
