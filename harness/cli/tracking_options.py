"""The options that show runs in other tools while they train."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.cli import completion
from harness.cli.options import split_names
from harness.errors import UsageError, unknown_name
from harness.tracking.names import NAMES, make_tracker
from harness.tracking.tracker import Tracker

_F = TypeVar("_F", bound=Callable[..., Any])


def _known_names(ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> list[str]:
    names = split_names(ctx, parameter, texts)
    for name in names:
        if name not in NAMES:
            raise unknown_name("tracker", name, NAMES)
    return names


_OPTIONS = (
    click.option(
        "--track",
        "trackers",
        multiple=True,
        callback=_known_names,
        shell_complete=completion.TRACKERS,
        metavar="NAME[,NAME]",
        help="Show the runs in mlflow or tensorboard while they train. TensorBoard's files are in the "
        "results folder.",
    ),
    click.option(
        "--track-uri",
        metavar="URI",
        help="Tracking URI of MLflow. Default: MLFLOW_TRACKING_URI, or MLflow's own default. The "
        "experiment is that of MLFLOW_EXPERIMENT_NAME, or harness.",
    ),
)


def tracking(function: _F) -> _F:
    """``--track`` and ``--track-uri``, for :func:`trackers_of`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def trackers_of(given: dict[str, Any]) -> list[Tracker]:
    """The trackers that the options ask for.

    Raises:
        UsageError: one is not installed, or a URI is of no use.
    """
    names: list[str] = given["trackers"]
    results: Path = given["results"]
    if given["track_uri"] and "mlflow" not in names:
        raise UsageError("--track-uri is the tracking URI of MLflow: add --track mlflow.")
    return [make_tracker(name, results, given["track_uri"]) for name in names]
