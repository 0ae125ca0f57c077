"""Models of the user's own in the place of a task: the options and arguments that name them."""

import ast
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.errors import UsageError

_F = TypeVar("_F", bound=Callable[..., Any])
#: The folder, under the results, of the plugin files that ``--model`` writes.
_FOLDER = "models"
_PAIR = 2


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
        "which returns a model of PyTorch, Keras, flax or JAX. Needs --dataset.",
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
    from harness.cli.own_task import write_task
    from harness.port.options import SideSpec

    spec = SideSpec(_absolute(given["model"]), given["set_model"])
    written = write_task([spec], given["dataset"], _models_folder(given["results"]))
    return {**options, "tasks": [written.name], "backends": given["backends"] or written.backends}


def is_model(name: str) -> bool:
    """Whether this names a model, FILE.py:CALLABLE or package.module:CALLABLE, and no BACKEND:MODE."""
    place, colon, _ = name.rpartition(":")
    return bool(colon) and "." in place


def with_own_pair(names: tuple[str, ...], given: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The configurations and options of a duel, with two models replaced by the task and backends they mean.

    Raises:
        UsageError: --task is missing; or there are models beside a --task or other configurations, or without
            --dataset; or they cannot be made or paired.
        HarnessError: the models compute different things; says where.
    """
    options = dict(given)
    if not any(map(is_model, names)):
        if given["task"] is None:
            raise UsageError("--task is missing; `harness list tasks` lists the tasks")
        return names, options
    if not all(map(is_model, names)) or len(names) != _PAIR:
        raise UsageError("a duel of models takes two of them, such as my_torch.py:make my_keras.py:make")
    if given["task"] is not None:
        raise UsageError("give two models or --task, not both")
    if given["dataset"] is None:
        raise UsageError(
            "models need --dataset, which they are trained on; `harness list datasets` lists them"
        )
    from harness.cli.own_task import agree, write_task
    from harness.port.options import SideSpec

    specs = [SideSpec(_absolute(name)) for name in names]
    written = write_task(specs, given["dataset"], _models_folder(given["results"]))
    if given["certify"]:
        agree(written, specs)
    return tuple(written.backends), {**options, "task": written.name}


def _models_folder(results: Path) -> Path:
    folder = Path(results) / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _absolute(target: str) -> str:
    """The target with the whole path of its file: workers may run in another folder."""
    place, colon, name = target.rpartition(":")
    return f"{Path(place).resolve()}:{name}" if colon and place.endswith(".py") else target
