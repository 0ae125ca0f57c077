"""The option ``--plugin``, and warnings about its files before a command begins."""

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from harness.core.plugins import registry
from harness.core.plugins.contributions import Contribution, Request, contributions
from harness.core.plugins.files import name_plugin_files, plugin_files
from harness.core.plugins.loading import LABELS, Kind
from harness.core.shell.paths import InputFile
from harness.core.shell.printing import print_error
from harness.errors import UsageError

#: The parameters of commands that name plugins.
PARAMETERS: dict[str, Kind] = {
    "backends": "backend",
    "backend": "backend",
    "tasks": "task",
    "task": "task",
    "dataset": "dataset",
}


def plugin_option(
    parameters: Mapping[str, Kind] = PARAMETERS, *, unnamed_means_all: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make the option ``--plugin`` of a command whose ``parameters`` name plugins.

    Before the command begins, files that contribute nothing to it are refused. With ``unnamed_means_all``
    a parameter without names asks for every installed plugin of its kind.
    """
    option = click.option(
        "--plugin",
        multiple=True,
        expose_value=False,
        is_eager=True,
        callback=_set_plugin_files,
        type=InputFile(),
        help="Python file that defines a backend, a task, a data set or a kind of study; repeatable.",
    )

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def called(*positional: Any, **given: Any) -> Any:
            if plugin_files():
                request = _request(parameters, given, unnamed_means_all=unnamed_means_all)
                for contribution in contributions(request):
                    for line in _remarks(contribution):
                        print_error(line)
            return function(*positional, **given)

        return option(called)

    return decorate


def _set_plugin_files(_ctx: click.Context, _parameter: click.Parameter, paths: tuple[Path, ...]) -> None:
    if broken := [str(path) for path in paths if "\n" in str(path.resolve())]:
        raise UsageError(f"--plugin {broken[0]!a}: the path of a plugin file cannot have a line break.")
    if paths:
        name_plugin_files(paths)


def _request(parameters: Mapping[str, Kind], given: Mapping[str, Any], *, unnamed_means_all: bool) -> Request:
    request: dict[Kind, tuple[str, ...]] = {}
    for parameter, kind in parameters.items():
        if parameter not in given:
            continue
        value = given[parameter] or ()
        names = (value,) if isinstance(value, str) else tuple(value)
        if not names and unnamed_means_all:
            names = tuple(registry.names(kind))
        # A mode follows the name of a backend, or settings.
        request[kind] = (*request.get(kind, ()), *(re.split(r"[:\s]", name, maxsplit=1)[0] for name in names))
    return {kind: tuple(dict.fromkeys(names)) for kind, names in request.items()}


def _remarks(contribution: Contribution) -> list[str]:
    """Return warnings about unexpected effects of a plugin file."""
    where = f"plugin file {contribution.file}"
    lines = [
        f"{LABELS[kind]} {name} is taken from {where}; the installed one is ignored"
        for kind, name in contribution.also_installed
    ]
    lines += [
        f"{LABELS[kind]} {name} is taken from {where}; the one in {other} is ignored"
        for kind, name, other in contribution.also_in_files
    ]
    lines += [
        f"{where} implements harness_{kind} and provides no {LABELS[kind]} that is asked for; "
        "installed ones are used"
        for kind in contribution.lacking
    ]
    return lines
