"""``harness reference``: write a task's reference once frameworks agree on it."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import msgspec

from harness.core.certify.agreement import make_reference
from harness.core.certify.references import Reference
from harness.core.documents.files import write_bytes
from harness.core.machine.description import default_threads
from harness.core.machine.files import prove_writable
from harness.core.plugins import registry
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.definition import define_task
from harness.core.plugins.options import parse_options
from harness.core.plugins.selection import select_backend
from harness.core.shell import completion, options
from harness.core.shell.paths import OutputFile
from harness.core.shell.printing import echo
from harness.core.worker.examiner import Examiner
from harness.errors import UsageError
from harness.spec.task import TaskDefinition

_FEWEST_FRAMEWORKS = 2


@click.command()
@click.argument("task", shell_complete=completion.TASKS)
@options.backends(required=True)
@click.option(
    "--to",
    "path",
    type=OutputFile(),
    help="File to write. Default: the task's own reference file.",
)
@options.plugin
def command(task: str, backends: list[str], path: Path | None) -> None:
    """Run the certification cases of TASK on backends of at least two frameworks; write the agreed result.

    For authors of tasks: run it after a change of the task and commit the file.

    \b
      harness reference mlp --backend torch,jax

    Exit code: 0, 1 if the backends disagree, 2 if the input is wrong.
    """  # noqa: D301  click's mark for lines that it must not wrap
    definition = registry.task(task)
    frameworks = {tuple(select_backend(name).backend.requires) for name in backends}
    if len(frameworks) < _FEWEST_FRAMEWORKS:
        raise UsageError("a reference needs two frameworks that agree: name backends of both with --backend.")
    path = path or definition.reference
    if path is None:
        raise UsageError(f"task {task} has no reference file; give one with --to.")
    reference = write_reference(definition, backends, path)
    echo(f"{path}: {len(reference.cases)} cases of {task} v{reference.version}")


def write_reference(
    definition: TaskDefinition,
    backends: Sequence[str],
    path: Path,
    report: Callable[[str], None] = lambda _what: None,
) -> Reference:
    """Write the results on which the backends agree; ``report`` as in :func:`make_reference`."""
    defined = define_task(definition, parse_options(definition, []))
    configurations = [
        Configuration(selection.backend.name, selection.mode(defined), "cpu", default_threads())
        for selection in map(select_backend, backends)
    ]
    with _writing(path):
        prove_writable(path.parent)
    with contextlib.ExitStack() as stack:
        examiners = [stack.enter_context(Examiner(configuration)) for configuration in configurations]
        reference = make_reference(definition, examiners, report)
    with _writing(path):
        write_bytes(path, msgspec.json.encode(reference, order="deterministic") + b"\n")
    return reference


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write the reference {path}: {error.strerror}. Give another file with --to."
        ) from error
