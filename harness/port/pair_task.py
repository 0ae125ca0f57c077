"""One model, or two equal ones, as a task: the plugin file, and for two the reference of both."""

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from harness.core.documents.files import write_bytes
from harness.core.machine.guarded_folder import GuardedFolder
from harness.core.models.reading import SideSpec, Variant, read_model
from harness.core.models.task_file import (
    Choice,
    TaskData,
    WrittenTask,
    data_words,
    task_data,
    write_model_task,
    write_task,
)
from harness.core.plugins import registry
from harness.core.shell.commands.reference import write_reference
from harness.core.shell.own_model import taken_names
from harness.core.shell.printing import echo, print_error_line
from harness.core.shell.progress import Phases
from harness.errors import HarnessError, UsageError
from harness.port.pairing.names import NameMap
from harness.port.pairing.native import native_pair

_PAIR = 2
#: The suffix of the file, beside that of the task, with the values on which both frameworks agree.
_REFERENCE_SUFFIX = ".reference.json"


def save_task(
    specs: Sequence[SideSpec], dataset: str | None, path: Path, names: NameMap, phases: Phases
) -> None:
    """Write the plugin file of one model or of a pair to ``path``; for a pair also the reference.

    ``names`` are pairs of parameters that the user gives. Until the models of a pair are proved equal,
    existing files stay.
    """
    if dataset is None:
        raise UsageError("--save-task needs --dataset, which the model is trained on")
    saved_by = shlex.join(["harness", *sys.argv[1:]])
    with GuardedFolder("task") as folder:
        data, draft = task_data(dataset), folder.path / path.name
        if len(specs) == _PAIR:
            written = _write_pair(specs, data, draft, phases.begin, names, saved_by=saved_by)
            _agree(written, specs, phases)
            files = {path: written.path, path.with_suffix(_REFERENCE_SUFFIX): _reference(written)}
            echo(f"{' and '.join(spec.target for spec in specs)} are the same: they train alike in float64.")
            use = f"Compare with: harness duel {' '.join(written.backends)}"
        else:
            model = read_model(specs[0], data.shape, None, phases.begin)
            variant = Variant(model, specs[0].arguments)
            written = write_model_task([variant], data, draft, taken_names(), saved_by)
            files = {path: written.path}
            use = f"Train it with: harness run --backend {written.backends[0]}"
        try:
            for target, source in files.items():
                write_bytes(target, source.read_bytes())
        except OSError as error:
            raise UsageError(f"the task {path} cannot be written: {error.strerror}") from error
    echo(f"Task {written.name}: {' and '.join(map(str, files))}")
    echo(f"{use} --task {written.name} --plugin {path}{data_words(data.dataset)}")


def _write_pair(
    specs: Sequence[SideSpec],
    data: TaskData,
    path: Path,
    phase: Callable[[str], None],
    names: NameMap,
    saved_by: str,
) -> WrittenTask:
    """Write the plugin file of a pair; see :func:`write_model_task` and :func:`read_model`."""
    a, b = (read_model(spec, data.shape, None, phase) for spec in specs)
    layer = msgspec.structs.replace(native_pair(a, b, data.shape, names), saved_by=saved_by)
    own = [array.name for array in layer.held if not array.shared]
    if own:
        print_error_line(
            f"Not compared, because one model divides by n and the other by n - 1: {own[0]}"
            + f" and {len(own) - 1} more" * (len(own) > 1)
        )
    return write_task(path, [a, b], [Choice({}, layer)], data, "duel", _REFERENCE_SUFFIX)


def _reference(written: WrittenTask) -> Path:
    return written.path.with_suffix(_REFERENCE_SUFFIX)


def _agree(written: WrittenTask, specs: Sequence[SideSpec], phases: Phases) -> None:
    """Write the reference of a pair in float64."""
    phases.begin(f"Comparing {' and '.join(spec.target for spec in specs)} in float64 …")
    try:
        write_reference(registry.task(written.name), written.backends, _reference(written), phases.begin)
    except UsageError:
        raise
    except HarnessError as error:
        targets = " ".join(shlex.quote(spec.target) for spec in specs)
        raise HarnessError(f"{error}. Find the cause with: harness port {targets} --input …") from error
