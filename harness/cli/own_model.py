"""A model of the user's own as a task: the options that name it, and the plugin file that is written."""

import ast
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.cli.printing import echo
from harness.errors import UsageError
from harness.machine.files import replace_file
from harness.plugins.files import PLUGIN_FILES_VARIABLE

_F = TypeVar("_F", bound=Callable[..., Any])
#: The folder, under the results, of the plugin files that ``--model`` writes.
_FOLDER = "models"
_THREADS, _TIMEOUT_SECONDS = 1, 600.0


def arguments(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    """``NAME=VALUE`` texts as arguments of a callable; values are Python literals, or else texts."""
    given: dict[str, Any] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r} is no argument; give NAME=VALUE, such as num_classes=10")
        try:
            given[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            given[name] = text
    return given


def model_options(function: _F) -> _F:
    """``--model`` and ``--set-model``."""
    chosen = click.option(
        "--model",
        metavar="TARGET",
        help="Train a model of your own in place of a task: FILE.py:CALLABLE or package.module:CALLABLE, "
        "which returns a torch.nn.Module. Needs --dataset.",
    )(function)
    return click.option(
        "--set-model",
        multiple=True,
        callback=arguments,
        metavar="NAME=VALUE",
        help="Argument of the callable of --model; repeatable.",
    )(chosen)


def with_own_model(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a command, with --model replaced by the task and the backend that it means.

    Raises:
        UsageError: --task or no --dataset is given beside it, or the model cannot be made.
    """
    options = {name: value for name, value in given.items() if name not in {"model", "set_model"}}
    if given["model"] is None:
        if given["set_model"]:
            raise UsageError("--set-model needs --model")
        return options
    if given["tasks"] or given.get("preset"):
        raise UsageError("give --model or --task, not both")
    if given["dataset"] is None:
        raise UsageError(
            "--model needs --dataset, which it is trained on; `harness list datasets` lists them"
        )
    from harness.port.options import SideSpec

    spec = SideSpec(_absolute(given["model"]), given["set_model"])
    folder = Path(given["results"]) / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    name, backend, text = task_of(spec, given["dataset"])
    path = folder / f"{name}.py"
    replace_file(path, text.encode())
    files = [*os.environ.get(PLUGIN_FILES_VARIABLE, "").split(os.pathsep), str(path.resolve())]
    os.environ[PLUGIN_FILES_VARIABLE] = os.pathsep.join(filter(None, files))
    return {**options, "tasks": [name], "backends": given["backends"] or [backend]}


def save_task(target: str, given: Mapping[str, Any], dataset: str | None, path: Path) -> None:
    """Write the plugin file of a model, for a project to keep.

    Raises:
        UsageError: no data set is given, the model cannot be made, or the file cannot be written.
    """
    from harness.port.options import SideSpec

    if dataset is None:
        raise UsageError("--save-task needs --dataset, which the model is trained on")
    name, backend, text = task_of(SideSpec(target, dict(given)), dataset)
    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise UsageError(f"--save-task {path} cannot be written: {error.strerror}") from error
    echo(f"Task {name}: {path}\nTrain it with: harness run --backend {backend} --task {name} --plugin {path}")


def task_of(spec: Any, dataset: str) -> tuple[str, str, str]:
    """The task of a model on a data set: its name, the backend, and the text of the plugin file.

    Raises:
        UsageError: the model cannot be made or evaluated, or does not fit the data.
        DataError: the data set is not on this machine.
    """
    from harness.port.native import native_layer
    from harness.port.task_file import objective_of, task_file, task_name
    from harness.tracing.inputs import InputShape

    network_input, objective = objective_of(dataset)
    layer = native_layer(spec, [network_input], _THREADS, _TIMEOUT_SECONDS)
    name = task_name(spec)
    assert isinstance(network_input, InputShape)  # noqa: S101  for the type checker
    text = task_file(name, spec, layer, network_input.shape, objective, dataset)
    return name, layer.models[0].framework, text


def _absolute(target: str) -> str:
    """The target with the whole path of its file: workers may run in another folder."""
    place, colon, name = target.rpartition(":")
    return f"{Path(place).resolve()}:{name}" if colon and place.endswith(".py") else target
