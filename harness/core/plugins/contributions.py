"""Contributions of the files of ``--plugin`` to a request, so that no file is silently unused."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.core.plugins import files, registry
from harness.core.plugins.loading import KINDS, LABELS, Kind, implemented
from harness.errors import HarnessError, UsageError

#: The names that a request asks for, by kind.
Request = Mapping[Kind, Sequence[str]]


class Contribution(NamedTuple):
    """The contribution of one plugin file.

    ``provided`` are the kinds and names that are asked for and taken from the file. ``also_installed`` are
    names among them that an installed plugin has, too, and ``also_in_files`` names that a later file has,
    too; that plugin and that file are not used for them. ``lacking`` are the kinds whose hook the file
    implements without any name that is asked for.
    """

    file: Path
    provided: tuple[tuple[Kind, str], ...]
    also_installed: tuple[tuple[Kind, str], ...]
    also_in_files: tuple[tuple[Kind, str, Path], ...]
    lacking: tuple[Kind, ...]


def contributions(request: Request) -> list[Contribution]:
    """Return the contribution of each plugin file to a request; empty if the request is empty."""
    paths = files.plugin_files()
    asked = _with_datasets(request) if paths else {}
    if not any(asked.values()):
        return []
    provided = {path: tuple(_provided(path, asked)) for path in paths}
    for path, names in provided.items():
        if not names:
            raise UsageError(
                f"plugin file {path} provides none of the names that are asked for: {_listed(request)}. Name "
                "what it provides, or omit --plugin."
            )
    return [_contribution(path, asked, provided) for path in paths]


def _contribution(
    path: Path, asked: Request, provided: Mapping[Path, tuple[tuple[Kind, str], ...]]
) -> Contribution:
    own = provided[path]
    others = list(provided)
    later = others[others.index(path) + 1 :]
    kinds = {kind for kind, _ in own}
    where = f"plugin file {path}"
    hooks = implemented(where, lambda: files.import_file(path))
    return Contribution(
        path,
        own,
        tuple((kind, name) for kind, name in own if name in registry.names(kind)),
        tuple((*each, other) for other in later for each in own if each in provided[other]),
        tuple(kind for kind in hooks if asked.get(kind) and kind not in kinds),
    )


def _provided(path: Path, asked: Request) -> Iterator[tuple[Kind, str]]:
    for kind in KINDS:
        for name in asked.get(kind, ()):
            if registry.from_file(path, kind, name) is not None:
                yield kind, name


def _with_datasets(request: Request) -> Request:
    """Add the data sets of its tasks to a request that names no data set."""
    if request.get("dataset"):
        return request
    names: dict[str, None] = {}
    for task in request.get("task", ()):
        try:
            names |= dict.fromkeys(registry.task(task).datasets)
        except HarnessError:  # reported where the task is used
            continue
    return {**request, "dataset": tuple(names)}


def _listed(asked: Request) -> str:
    return "; ".join(f"{LABELS[kind]} {', '.join(asked[kind])}" for kind in KINDS if asked.get(kind))
