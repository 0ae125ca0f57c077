"""The files of ``--plugin`` as they travel to nodes, which have no copy of them."""

from collections.abc import Iterable
from pathlib import Path

from harness.cluster.agent import PluginFile
from harness.errors import HarnessError, UsageError
from harness.plugins import files, registry


def plugin_files(tasks: Iterable[str]) -> list[PluginFile]:
    """The plugin files of this process, with the references of these tasks that are kept next to them.

    Raises:
        UsageError: a file cannot be read.
    """
    references = [reference for task in tasks if (reference := _reference(task)) is not None]
    return [_file(path, references) for path in files.plugin_files()]


def _file(path: Path, references: Iterable[Path]) -> PluginFile:
    folder = path.parent
    beside = [reference for reference in references if reference.is_relative_to(folder)]
    try:
        return PluginFile(
            path.name,
            path.read_bytes(),
            {str(file.relative_to(folder)): file.read_bytes() for file in beside},
        )
    except OSError as error:
        raise UsageError(f"plugin file {path} cannot be sent to the nodes: {error.strerror}") from error


def _reference(task: str) -> Path | None:
    try:
        reference = registry.task(task).reference
    except HarnessError:
        return None
    return reference if reference is not None and reference.is_file() else None
