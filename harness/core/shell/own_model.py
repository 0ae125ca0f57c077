"""The user's own models in place of a task: the options that name them and the task files that they need."""

import ast
import contextlib
import math
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec

from harness.core.certify.references import reference_of
from harness.core.machine.files import replace_file
from harness.core.models.reading import (
    native_layer,
    native_pair,
    read_model,
)
from harness.core.models.task_file import (
    REFERENCE_SUFFIX,
    NameMap,
    objective_of,
    task_file,
    task_name,
)
from harness.core.plugins import registry
from harness.core.plugins.definition import define_task
from harness.core.plugins.files import name_plugin_files, plugin_files
from harness.core.plugins.sources import sources_of_models
from harness.core.shell.commands.reference import write_reference
from harness.core.shell.options import together
from harness.core.shell.printing import echo, print_error_line
from harness.core.shell.progress import Phases
from harness.errors import HarnessError, UsageError
from harness.port.findings import SideSpec

#: The folder, under the results, of the plugin files that ``--model`` writes.
_FOLDER = "models"
_PAIR = 2


def arguments(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    """``NAME=VALUE`` texts as arguments of a callable; values are Python literals, or else texts."""
    given: dict[str, Any] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r} is not an argument; give NAME=VALUE, such as num_classes=10")
        try:
            given[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            given[name] = text
    return given


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
        help="Argument of the callable of --model; repeatable.",
    ),
)


def with_own_model(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a command, with --model replaced by the task and the backend that it stands for.

    Raises:
        UsageError: --task or no --dataset is given beside it, or the model cannot be made.
    """
    options = {name: value for name, value in given.items() if name not in {"model", "set_model"}}
    options["own_model"] = given["model"] is not None
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
    spec = SideSpec(_absolute(given["model"]), given["set_model"])
    with Phases(quiet=given["quiet"]) as phases:
        written = _written([spec], given, phases)
    return {**options, "tasks": [written.name], "backends": given["backends"] or written.backends}


def is_model(name: str) -> bool:
    """Whether this names a model, FILE.py:CALLABLE or package.module:CALLABLE, and no BACKEND:MODE."""
    place, colon, _ = name.rpartition(":")
    return bool(colon) and "." in place


def with_own_pair(names: tuple[str, ...], given: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The configurations and options of a duel, with two models replaced by their task and backends.

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
    specs = [SideSpec(_absolute(name)) for name in names]
    with Phases(quiet=given["quiet"]) as phases:
        written = _written(specs, given, phases)
        if given["certify"]:
            agree(written, specs, phases)
    return tuple(written.backends), {**options, "task": written.name}


def _written(specs: Sequence[SideSpec], given: Mapping[str, Any], phases: Phases) -> "WrittenTask":
    folder = Path(given["results"]) / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return write_task(specs, given["dataset"], folder, phases, timeout_seconds=given["timeout"])


def _absolute(target: str) -> str:
    """The target with the whole path of its file: workers may run in another folder."""
    place, colon, name = target.rpartition(":")
    return f"{Path(place).resolve()}:{name}" if colon and place.endswith(".py") else target


# The plugin file of one model or of a pair, and the reference of a pair.

_THREADS = 1


def save_task(
    specs: Sequence[SideSpec], dataset: str | None, path: Path, names: NameMap, phases: Phases
) -> None:
    """Write the plugin file of one model or of a pair into a project; for a pair also the reference.

    Until the models of a pair are proved equal, existing files stay.

    Raises:
        UsageError: no data set is given, a model cannot be made, or a file cannot be written.
        HarnessError: the models of a pair compute different things; says where.
    """
    if dataset is None:
        raise UsageError("--save-task needs --dataset, which the model is trained on")
    saved_by = shlex.join(["harness", *sys.argv[1:]])
    with tempfile.TemporaryDirectory() as folder:
        written = write_task(specs, dataset, Path(folder) / path.name, phases, names, saved_by=saved_by)
        files = {path: written.path}
        use = f"Train it with: harness run --backend {written.backends[0]}"
        if len(specs) == _PAIR:
            agree(written, specs, phases)
            files[path.with_suffix(REFERENCE_SUFFIX)] = written.reference
            use = f"Compare with: harness duel {' '.join(written.backends)}"
        try:
            for target, source in files.items():
                replace_file(target, source.read_bytes())
        except OSError as error:
            raise UsageError(f"the task {path} cannot be written: {error.strerror}") from error
    echo(f"Task {written.name}: {' and '.join(map(str, files))}")
    echo(f"{use} --task {written.name} --plugin {path}")


class WrittenTask(NamedTuple):
    """A plugin file with a task, and the backends that train its models."""

    name: str
    backends: list[str]
    path: Path

    @property
    def reference(self) -> Path:
        """The reference file of a pair."""
        return self.path.with_suffix(REFERENCE_SUFFIX)


def write_task(
    specs: Sequence[SideSpec],
    dataset: str,
    path: Path,
    phases: Phases,
    names: NameMap | None = None,
    timeout_seconds: float | None = None,
    saved_by: str = "",
) -> WrittenTask:
    """Write the plugin file of one model or of a pair, to be loaded by this process and its workers.

    ``path`` is the file, or a folder in which the file is named after the task; ``names`` are parameters of
    the first model with those of the second that they are, where matching fails; ``timeout_seconds`` limits
    how long each model may take to be made and evaluated. ``saved_by`` is the command
    that writes the file again.

    Raises:
        UsageError: a model cannot be made or evaluated, does not fit the data, or has no counterpart; or the
            file cannot be written.
        DataError: the data set is not on this machine.
    """
    shape, objective = objective_of(dataset)
    models = []
    for spec in specs:
        phases.begin(f"making and evaluating {spec.target}")
        models.append(read_model(spec, shape, _THREADS, timeout_seconds))
    first, *others = models
    layer = native_pair(first, others[0], shape, names or {}) if others else native_layer(first, shape)
    layer = msgspec.structs.replace(layer, saved_by=saved_by)
    own = [array.name for array in layer.held if not array.shared]
    if own:
        print_error_line(
            f"Not compared, because one model divides by n and the other by n - 1: {own[0]}"
            + f" and {len(own) - 1} more" * (len(own) > 1)
        )
    name, backends = task_name([spec.target for spec in specs]), [model.built.backend for model in models]
    text = task_file(name, layer, shape.shape, objective, dataset, backends)
    path = path / f"{name}.py" if path.is_dir() else path
    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise UsageError(f"the task {path} cannot be written: {error.strerror}") from error
    name_plugin_files([*plugin_files(), path])
    return WrittenTask(name, backends, path)


def agree(written: WrittenTask, specs: Sequence[SideSpec], phases: Phases) -> None:
    """Write the reference of a pair in float64, unless it exists and the models' code is unchanged.

    Raises:
        HarnessError: they compute different things; says where, and how to find the cause.
    """
    definition = registry.task(written.name)
    sources = sources_of_models(define_task(definition, definition.options()))
    with contextlib.suppress(UsageError, OSError):
        reference_of(definition)
        if written.reference.stat().st_mtime > max(
            (path.stat().st_mtime for path in sources), default=math.inf
        ):
            return
    phases.begin(f"Comparing {' and '.join(spec.target for spec in specs)} in float64 …")
    try:
        write_reference(definition, written.backends, written.reference, phases.advance)
    except UsageError:
        raise
    except HarnessError as error:
        targets = " ".join(shlex.quote(spec.target) for spec in specs)
        raise HarnessError(f"{error}. Find the cause with: harness port {targets} --input …") from error
