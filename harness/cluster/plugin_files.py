"""The files of ``--plugin`` as they travel to nodes, which have no copy of them."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from harness.core.plugins import files as named_files
from harness.core.plugins import registry
from harness.errors import HarnessError, UsageError


class PluginFile(msgspec.Struct, frozen=True):
    """A file of ``--plugin``; ``beside`` are files that it needs, by their path relative to its folder."""

    name: str
    content: bytes
    beside: dict[str, bytes] = {}


def written(plugin: PluginFile, folder: Path) -> Path:
    """Write a plugin file and the files beside it to a folder of this node; return its path."""
    for name, content in {plugin.name: plugin.content, **plugin.beside}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder / plugin.name


def plugin_files(tasks: Iterable[str]) -> list[PluginFile]:
    """Read the plugin files of this process, with the references of ``tasks`` that are kept beside them."""
    references = [reference for task in tasks if (reference := _reference(task)) is not None]
    return [_file(path, references) for path in named_files.plugin_files()]


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
