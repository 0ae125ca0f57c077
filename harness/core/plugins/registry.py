"""Finding plugins: names are read from entry points without importing; a plugin is loaded by name.

A plugin under development needs no installation: ``--plugin FILE`` names its module.

A broken plugin affects no other: its exceptions become a :class:`PluginError` that names the plugin and its
distribution.
"""

import contextlib
import functools
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.core.plugins import files, kept_data
from harness.core.plugins.loading import GROUPS, KINDS, LABELS, TYPES, Kind, ask, implemented
from harness.errors import HarnessError, PluginError, unknown_name
from harness.spec.backend import Backend
from harness.spec.data import DataSource
from harness.spec.study import StudyKind
from harness.spec.task import TaskDefinition

_OURS = "dl-harness"


@functools.cache
def _entry_points() -> dict[Kind, dict[str, list[metadata.EntryPoint]]]:
    """Return the entry points of each kind and name; several if distributions claim the same name.

    Read once, because finding them opens the metadata of every distribution.
    """
    points: dict[Kind, dict[str, list[metadata.EntryPoint]]] = {}
    installed = metadata.entry_points()
    for kind in KINDS:
        names = points.setdefault(kind, {})
        for point in installed.select(group=GROUPS[kind]):
            names.setdefault(point.name, []).append(point)
    return points


def names(kind: Kind) -> list[str]:
    """Return the names of all installed plugins of a kind, sorted; import none of them."""
    return sorted(_entry_points()[kind])


@functools.cache
def _name_and_version(distribution: metadata.Distribution) -> tuple[str, str]:
    """Return name and version, read once, because each access parses the whole metadata."""
    fields = distribution.metadata
    return fields["Name"], fields["Version"]


def _distribution(point: metadata.EntryPoint) -> str:
    return " ".join(_name_and_version(point.dist)) if point.dist else "an unknown distribution"


def _is_ours(point: metadata.EntryPoint) -> bool:
    return point.dist is not None and _name_and_version(point.dist)[0] == _OURS


def _load(kind: Kind, name: str) -> tuple[Any, metadata.EntryPoint | None]:
    """Load a plugin; return it with its entry point, or with None if it is from a plugin file."""
    for path in files.plugin_files():
        plugin = from_file(path, kind, name)
        if plugin is not None:
            return plugin, None
    points = _entry_points()[kind]
    if name not in points:
        raise unknown_name(LABELS[kind], name, points, meant=_related(kind, name))
    if len({point.value for point in points[name]}) > 1:
        rivals = " and ".join(_distribution(point) for point in points[name])
        raise PluginError(f"{kind} {name!r} is claimed by {rivals}; uninstall one of them")
    point = points[name][0]
    where = f"{kind} plugin {name!r} ({_distribution(point)})"
    plugin = ask(kind, name, where, point.load)
    if plugin is None:
        raise PluginError(
            f"{where} returned NoneType from harness_{kind}({name!r}); expected {TYPES[kind].__name__}"
        )
    return plugin, point


def _related(kind: Kind, name: str) -> str | None:
    """Return the first backend that requires the package ``name``, or the first task that uses its data."""
    for known in names(kind):
        with contextlib.suppress(PluginError):
            if kind == "backend":
                required = [canonicalize_name(Requirement(each).name) for each in backend(known).requires]
                related = canonicalize_name(name) in required
            else:
                related = kind == "task" and name in task(known).datasets
            if related:
                return known
    return None


def from_file(path: Path, kind: Kind, name: str) -> Any:
    """Return the plugin of this name in a plugin file; None if the file has none."""
    where = f"plugin file {path}"
    load = functools.partial(files.import_file, path)
    plugin = ask(kind, name, where, load)
    if plugin is None and not implemented(where, load):
        raise PluginError(
            f"{where} contributes nothing: it implements none of the hooks "
            + ", ".join(f"harness_{kind}" for kind in KINDS)
            + " (a function of that name under @hookimpl)"
        )
    return plugin


def backend(name: str) -> Backend:
    """Load the backend of this name."""
    plugin: Backend = _load("backend", name)[0]
    return plugin


def backend_distribution(name: str) -> str | None:
    """Return name and version of the distribution of an installed third-party backend; None for others.

    Raise as :func:`backend`.
    """
    _, point = _load("backend", name)
    if point is None or point.dist is None or _is_ours(point):
        return None
    return _distribution(point)


def is_third_party(name: str) -> bool:
    """Check that the harness itself does not provide the backend, or that it cannot be loaded."""
    try:
        _, point = _load("backend", name)
    except HarnessError:
        return True
    return point is None or not _is_ours(point)


def task(name: str) -> TaskDefinition:
    """Load the task of this name; raise as :func:`backend`."""
    plugin: TaskDefinition = _load("task", name)[0]
    return plugin


def dataset(name: str) -> DataSource:
    """Return the source of this data set, in the cache or of a plugin; raise as :func:`backend`."""
    plugin: DataSource = kept_data.source(name) or _load("dataset", name)[0]
    return plugin


def study(name: str) -> StudyKind:
    """Load the kind of study of this name; raise as :func:`backend`."""
    plugin: StudyKind = _load("study", name)[0]
    return plugin


def runs_our_code(python: str, variables: Iterable[str]) -> bool:
    """Check that a worker of this interpreter, with these variables set, has the plugins of this process.

    Another interpreter, or an interpreter with another search path, may have other plugins.
    """
    elsewhere = ("PYTHON", files.PLUGIN_FILES_VARIABLE)
    return python == sys.executable and not any(name.startswith(elsewhere) for name in variables)
