"""The option ``--plugin FILE``, which several commands share."""

import os
from pathlib import Path

import click

from harness.plugins.registry import PLUGIN_FILES_VARIABLE


def _remember(_ctx: click.Context, _parameter: click.Parameter, paths: tuple[Path, ...]) -> None:
    # Workers inherit the environment, and so know the same plugins.
    if paths:
        os.environ[PLUGIN_FILES_VARIABLE] = os.pathsep.join(str(path.resolve()) for path in paths)


plugin_option = click.option(
    "--plugin",
    multiple=True,
    expose_value=False,
    is_eager=True,
    callback=_remember,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A Python file with a backend, task or data set that is not installed; repeatable.",
)
