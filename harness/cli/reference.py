"""``harness reference``: make a task's reference from the agreement of frameworks."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from harness.cli import options
from harness.errors import UsageError
from harness.machine.description import default_threads
from harness.machine.files import prove_writable, replace_file
from harness.plugins import registry
from harness.plugins.configuration import Configuration
from harness.plugins.installation import select_backend
from harness.testing.certify import make_reference
from harness.worker.examiner import Examiner


@click.command(short_help="Make a task's reference from the agreement of at least two frameworks.")
@click.argument("task")
@options.backends(required=True)
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write it. Default: where the task looks for it.",
)
@options.plugin
def command(task: str, backends: tuple[str, ...], to: Path | None) -> None:
    """Run the certification cases of TASK on each backend; where all agree, write what they gave.

    A task's author runs this after a change of the task, and commits the file.
    """
    definition = registry.task(task)
    sides = []
    engines = set()
    for name in backends:
        backend, mode = select_backend(name)
        sides.append(Configuration(backend.name, mode, "cpu", default_threads()))
        engines.add(tuple(backend.requires))
    if len(engines) < 2:  # noqa: PLR2004
        raise UsageError("a reference is the agreement of at least two frameworks: give --backend twice.")
    path = to or definition.reference
    if path is None:
        raise UsageError(f"task {task} names no file for its reference; give one with --to.")
    with _refused(path):
        prove_writable(path.parent)
    with contextlib.ExitStack() as stack:
        examiners = [stack.enter_context(Examiner(side)) for side in sides]
        reference = make_reference(definition, examiners)
    with _refused(path):
        replace_file(path, msgspec.json.encode(reference, order="deterministic") + b"\n")
    click.echo(f"{path}: {len(reference.cases)} cases of {task} v{reference.version}")


@contextlib.contextmanager
def _refused(path: Path) -> Iterator[None]:
    """What keeps a file from being written is told in a line."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"the reference {path} cannot be written: {error.strerror}. Name another place with --to."
        ) from error
