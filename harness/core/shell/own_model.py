"""A model of the user's own in place of a task: the options that name the model, and its task file."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.core.documents.numbers import first_of
from harness.core.machine.files import without_home
from harness.core.models.arguments import literal, split_values
from harness.core.models.reading import read_variants
from harness.core.models.task_file import (
    OwnParts,
    WrittenTask,
    task_data,
    task_name,
    training_options,
    write_model_task,
)
from harness.core.plugins import registry
from harness.core.plugins.definition import define_task
from harness.core.plugins.options import value_text
from harness.core.plugins.selection import parse_backend
from harness.core.runs.fields import FIELDS
from harness.core.runs.matrix import OwnTask
from harness.core.runs.selection import FILTERS
from harness.core.shell.options import together
from harness.core.shell.parameters import each_once, split_names
from harness.core.shell.printing import print_error, print_error_line
from harness.core.shell.progress import Phases
from harness.core.shell.run_options import OwnModelOptions
from harness.core.training.start import start_of, started
from harness.errors import UsageError
from harness.tracing.user_code import is_file, split_target

_G = TypeVar("_G", bound=OwnModelOptions)
#: The folder, under the results, of the plugin files that ``--model`` writes.
_FOLDER = "models"


def arguments(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    """Parse ``NAME=VALUE`` texts as arguments of a callable: one Python literal each, or else a text."""
    given = {}
    for name, texts in value_lists(ctx, parameter, each_once(ctx, parameter, values)).items():
        if len(texts) > 1:
            text = ",".join(texts)
            quoted = f"{name}='\"{text}\"'"
            raise click.BadParameter(
                f"{name}={text} has several values; give one, or quote the text: {quoted}"
            )
        given[name] = literal(texts[0])
    return given


def value_lists(
    _ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, list[str]]:
    """Parse ``NAME=VALUE[,VALUE]`` texts: the values of each argument as texts, in the order given.

    A comma within brackets or quotes belongs to a value.
    """
    given: dict[str, list[str]] = {}
    for each in values:
        name, equals, text = each.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{each!r} is not an argument; give NAME=VALUE, such as num_classes=10")
        texts = split_values(text)
        if len(texts) > 1 and not all(texts):
            raise click.BadParameter(
                f"{each!r} lacks a value at a comma; a tuple has brackets: {name}='(1,)'"
            )
        given.setdefault(name, []).extend(texts)
    return given


def _part(name: str, parameter: str, text: str) -> Callable[[Any], Any]:
    """Make an option for a part of the training that is the user's own code."""
    metavar = "FILE.py:CALLABLE[,…]"
    return click.option(name, parameter, multiple=True, callback=split_names, metavar=metavar, help=text)


#: Options of a part of the training, and those of the task that have their values.
_PARTS = {
    "losses": "own_loss",
    "optimizers": "own_optimizer",
    "augmentations": "own_augment",
    "starts": "start_from",
}
_NONE = "none"
_MOST_DRAWN = 4
_OPTIONS = {
    "models": "--model",
    "set_model": "--set-model",
    "losses": "--loss",
    "optimizers": "--optimizer",
    "augmentations": "--augment",
    "starts": "--start-from",
}

#: ``--model`` and ``--set-model``, for :func:`with_own_model`.
model_options = together(
    click.option(
        "--model",
        "models",
        multiple=True,
        metavar="TARGET",
        help="Train a model of your own in place of a task: FILE.py:CALLABLE or package.module:CALLABLE, "
        "which returns a model of PyTorch, Keras, flax or JAX; repeatable. Needs --dataset.",
    ),
    click.option(
        "--set-model",
        multiple=True,
        callback=value_lists,
        metavar="NAME=VALUE[,VALUE]",
        help="Argument of the callable of --model; repeatable. Each value is run. A tuple has brackets, and "
        "a text with commas has quotes: NAME='\"a,b\"'.",
    ),
    _part(
        "--loss",
        "losses",
        "Loss of your own for --model, loss(outputs, targets) in the framework's arrays; none is that of "
        "--set loss.",
    ),
    _part(
        "--optimizer",
        "optimizers",
        "Optimizer of your own for --model: optimizer(parameters) in PyTorch, optimizer() in Keras and "
        "JAX (optax); none is that of --set optimizer.",
    ),
    _part(
        "--augment",
        "augmentations",
        "Augmentation of your own for --model: augment(batch, rng) returns other inputs of the shape and "
        "type of batch, in NumPy; rng is a numpy.random.Generator. none trains on the inputs as they are.",
    ),
    click.option(
        "--start-from",
        "starts",
        multiple=True,
        callback=split_names,
        metavar="FILE[,…]",
        help="File of weights (safetensors, of harness or the framework) with which --model starts, as for "
        "fine-tuning; none draws all weights. Weights that it lacks are drawn.",
    ),
)


def with_own_model(given: _G) -> _G:
    """Return the options ``given`` to a command, with each --model replaced by a task.

    ``own`` has what is asked of each of these tasks alone, by name.
    """
    if not given.models:
        for name, option in _OPTIONS.items():
            if getattr(given, name):
                raise UsageError(f"{option} needs --model")
        return given
    if given.tasks or getattr(given, "preset", None):
        raise UsageError("give --model or --task, not both")
    if given.dataset is None:
        raise UsageError(
            "--model needs --dataset, which it is trained on: your own file or folder, or one of `harness "
            "list datasets`"
        )
    targets = [absolute(target) for target in given.models]
    names = [task_name([target]) for target in targets]
    if twice := [target for target, name in zip(targets, names, strict=True) if names.count(name) > 1]:
        raise UsageError(
            f"{' and '.join(twice)} are both named {task_name(twice[:1])}; rename a file or a callable"
        )
    with Phases(quiet=given.quiet) as phases:
        folder = models_folder(given.results)
        data = task_data(given.dataset)
        read = read_variants(
            targets, given.set_model, data.shape, getattr(given, "timeout", None), phases.begin
        )
        parts, taken = _own_parts(given), taken_names()
        written = [write_model_task(variants, data, folder, taken, parts=parts) for variants in read]
    for remark in (remark for task in written for remark in task.remarks):
        print_error(remark)
    chosen = [f"{option}={text}" for name, option in _PARTS.items() for text in getattr(given, name)]
    own = {
        task.name: OwnTask(_backends(task, given.backends), [*_assignments(task), *chosen])
        for task in written
    }
    _report_starts(own, parts)
    backends = dict.fromkeys(backend for each in own.values() for backend in each.backends)
    return dataclasses.replace(given, tasks=[*own], own=own, backends=given.backends or [*backends])


def _own_parts(given: OwnModelOptions) -> OwnParts:
    """Return the user's own code and files of weights by the texts of the options."""
    texts = (*given.losses, *given.optimizers, *given.augmentations)
    code = {text: absolute(text) for text in texts if text != _NONE}
    return OwnParts(code, {text: start_of(Path(text)) for text in given.starts if text != _NONE})


def _report_starts(own: Mapping[str, OwnTask], parts: OwnParts) -> None:
    """Print how many weights of each model a file has."""
    for name in own if parts.starts else ():
        definition = registry.task(name)
        task = define_task(definition, definition.options())
        for text, start in parts.starts.items():
            found, every = started(task, start), task.weights()
            drawn = [weight.partition("/")[2] for weight in every if weight not in found]
            rest = f"; drawn: {first_of(drawn, _MOST_DRAWN)}" if drawn else ""
            print_error_line(f"{name} starts from {len(found)} of {len(every)} arrays in {text}{rest}")


def _backends(task: WrittenTask, given: Sequence[str]) -> list[str]:
    """Return those of the backends ``given`` that can train a model; by default its framework's."""
    (own,) = task.backends
    able = [name for name in given if parse_backend(name).backend.name.partition("-")[0] == own]
    if given and not able:
        raise UsageError(f"{task.name} is a model for {own}, which --backend {','.join(given)} cannot train")
    return able or [own]


def _assignments(task: WrittenTask) -> list[str]:
    """Return the arguments that have several values as assignments of the task's options."""
    names = [name for name, first in task.choices[0].items() if any(c[name] != first for c in task.choices)]
    values = {name: dict.fromkeys(value_text(choice[name]) for choice in task.choices) for name in names}
    return [f"{name}={text}" for name, texts in values.items() for text in texts]


def taken_names() -> set[str]:
    """Return the names that an argument's option may not have: those of options, filters and axes."""
    return {*training_options(), *FIELDS, *FILTERS}


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
    """Return ``target`` with the whole path of its file, from ``~``: workers may run in another folder."""
    place, name = split_target(target)
    return f"{without_home(str(Path(place).resolve()))}:{name}" if is_file(target) else target
