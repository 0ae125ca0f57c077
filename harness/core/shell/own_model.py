"""A model of the user's own in place of a task: the options that name the model, and its task file."""

import ast
import dataclasses
from pathlib import Path
from typing import Any

import click

from harness.core.models.reading import SideSpec
from harness.core.models.task_file import task_data, write_model_task
from harness.core.shell.options import together
from harness.core.shell.parameters import each_once
from harness.core.shell.printing import print_error
from harness.core.shell.progress import Phases
from harness.core.shell.run_options import RunOptions
from harness.errors import UsageError
from harness.tracing.user_code import is_file, split_target

#: The folder, under the results, of the plugin files that ``--model`` writes.
_FOLDER = "models"


def arguments(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    """Parse ``NAME=VALUE`` texts as arguments of a callable: Python literals, or else texts.

    A comma belongs to a value within brackets or quotes alone: elsewhere it would separate several values.
    """
    given: dict[str, Any] = {}
    for value in each_once(ctx, parameter, values):
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r} is not an argument; give NAME=VALUE, such as num_classes=10")
        parts = _parts(text)
        if len(parts) > 1 or text.rstrip().endswith(","):
            quoted = f"{name}='\"{text.strip()}\"'"
            raise click.BadParameter(f"{value!r} has several values; give one, or quote the text: {quoted}")
        try:
            given[name] = ast.literal_eval(parts[0]) if parts else text
        except ValueError:
            given[name] = text
    return given


def _parts(text: str) -> list[ast.expr]:
    """Parse a text as the elements of a Python list; one that is not Python is split at its commas."""
    try:
        parsed = ast.parse(f"[{text}]", mode="eval").body
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        parsed = None
    return parsed.elts if isinstance(parsed, ast.List) else [ast.Name(part) for part in text.split(",")]


#: ``--model`` and ``--set-model``, for :func:`with_own_model`.
model_options = together(
    click.option(
        "--model",
        metavar="TARGET",
        help="Train a model of your own in place of a task: FILE.py:CALLABLE or package.module:CALLABLE, "
        "which returns a model of PyTorch, Keras, flax or JAX. Needs --dataset.",
    ),
    click.option(
        "--set-model",
        multiple=True,
        callback=arguments,
        metavar="NAME=VALUE",
        help="Argument of the callable of --model; repeatable. A text with commas is quoted, NAME='\"a,b\"'.",
    ),
)


def with_own_model(given: RunOptions) -> RunOptions:
    """Return the options with the task and, unless others are named, the backend of ``--model``.

    Raises:
        UsageError: --task or no --dataset is given beside it, or the model cannot be made.
    """
    if given.model is None:
        if given.set_model:
            raise UsageError("--set-model needs --model")
        return given
    if given.tasks or given.preset:
        raise UsageError("give --model or --task, not both")
    if given.dataset is None:
        raise UsageError(
            "--model needs --dataset, which it is trained on; `harness list datasets` lists them"
        )
    spec = SideSpec(absolute(given.model), given.set_model)
    with Phases(quiet=given.quiet) as phases:
        folder = models_folder(given.results)
        written = write_model_task(spec, task_data(given.dataset), folder, phases.begin, given.timeout)
    for remark in written.remarks:
        print_error(remark)
    return dataclasses.replace(given, tasks=[written.name], backends=given.backends or written.backends)


def is_model(name: str) -> bool:
    """Check whether ``name`` is a model, FILE.py:CALLABLE or package.module:CALLABLE, not BACKEND:MODE."""
    place, colon, _ = name.rpartition(":")
    return bool(colon) and "." in place


def models_folder(results: Path) -> Path:
    """Make and return the folder, under the ``results``, of the models' plugin files."""
    folder = results / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def absolute(target: str) -> str:
    """Return ``target`` with the whole path of its file: workers may run in another folder."""
    place, name = split_target(target)
    return f"{Path(place).resolve()}:{name}" if is_file(target) else target
