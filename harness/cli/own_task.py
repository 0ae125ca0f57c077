"""The plugin file of a model of the user's own, or of a pair, and what the models of a pair agree on."""

import contextlib
import math
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from harness.certify.references import reference_of
from harness.cli.messages import print_error_line
from harness.cli.printing import echo
from harness.cli.reference import write_reference
from harness.errors import HarnessError, UsageError
from harness.machine.files import replace_file
from harness.plugins import registry
from harness.plugins.definition import define_task
from harness.plugins.files import name_plugin_files, plugin_files
from harness.plugins.sources import sources_of_models
from harness.port.map_file import NameMap
from harness.port.native import native_layer
from harness.port.native_pair import native_pair
from harness.port.options import SideSpec
from harness.port.own_model import read_model
from harness.port.task_file import REFERENCE_SUFFIX, objective_of, task_file, task_name

_THREADS, _TIMEOUT_SECONDS = 1, 600.0
_PAIR = 2


def save_task(specs: Sequence[SideSpec], dataset: str | None, path: Path, names: NameMap) -> None:
    """Write the plugin file of one model or of a pair for a project to keep, and of a pair the reference.

    Raises:
        UsageError: no data set is given, a model cannot be made, or a file cannot be written.
        HarnessError: the models of a pair compute different things; says where.
    """
    if dataset is None:
        raise UsageError("--save-task needs --dataset, which the model is trained on")
    if len(specs) == _PAIR:
        _save_pair(specs, dataset, path, names)
        return
    written = write_task(specs, dataset, path, names)
    echo(f"Task {written.name}: {path}")
    echo(f"Train it with: harness run --backend {written.backends[0]} --task {written.name} --plugin {path}")


def _save_pair(specs: Sequence[SideSpec], dataset: str, path: Path, names: NameMap) -> None:
    """Write both files once the models are proved to be the same; until then earlier ones stay."""
    kept = path.with_suffix(REFERENCE_SUFFIX)
    with tempfile.TemporaryDirectory() as folder:
        written = write_task(specs, dataset, Path(folder) / path.name, names)
        agree(written, specs)
        try:
            replace_file(path, written.path.read_bytes())
            replace_file(kept, written.reference.read_bytes())
        except OSError as error:
            raise UsageError(f"the task {path} cannot be written: {error.strerror}") from error
    echo(f"Task {written.name}: {path} and {kept}")
    echo(f"Compare with: harness duel {' '.join(written.backends)} --task {written.name} --plugin {path}")


class WrittenTask(NamedTuple):
    """A plugin file with a task, and the backends that train its models."""

    name: str
    backends: list[str]
    path: Path

    @property
    def reference(self) -> Path:
        """The file of what a pair agrees on."""
        return self.path.with_suffix(REFERENCE_SUFFIX)


def write_task(
    specs: Sequence[SideSpec], dataset: str, path: Path, names: NameMap | None = None
) -> WrittenTask:
    """Write the plugin file of one model or of a pair, and have this process and its workers load it.

    ``path`` is the file, or a folder in which the file is named after the task; ``names`` are parameters of
    the first model with those of the second that they are, where matching fails.

    Raises:
        UsageError: a model cannot be made or evaluated, does not fit the data, or has no counterpart; or the
            file cannot be written.
        DataError: the data set is not on this machine.
    """
    shape, objective = objective_of(dataset)
    first, *others = models = [read_model(spec, shape, _THREADS, _TIMEOUT_SECONDS) for spec in specs]
    layer = native_pair(first, others[0], shape, names or {}) if others else native_layer(first, shape)
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


def agree(written: WrittenTask, specs: Sequence[SideSpec]) -> None:
    """Write what both models of a pair compute in float64, unless that is kept and their code unchanged.

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
    print_error_line(f"Comparing {' and '.join(spec.target for spec in specs)} in float64 …")
    try:
        write_reference(definition, written.backends, written.reference)
    except UsageError:
        raise
    except HarnessError as error:
        targets = " ".join(shlex.quote(spec.target) for spec in specs)
        raise HarnessError(f"{error}. Find the cause with: harness port {targets} --input …") from error
