"""Finding plugins: names are read from entry points without importing, one is loaded by name.

A plugin that is still being written needs no installation: ``--plugin FILE`` names its module.

A plugin that breaks harms nobody else: what it raised comes back as a :class:`PluginError` that
names the plugin and the distribution it came with. Those that are not our own are first tried in a
process of their own.
"""

import functools
import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Literal, TypeVar

import pluggy

from harness import hookspecs
from harness.errors import PluginError, unknown_name
from harness.plugins import checks, trial
from harness.plugins.output import nothing_on_stdout
from harness.spec.backend import Backend
from harness.spec.data import DataSource
from harness.spec.task import TaskDefinition

Kind = Literal["backend", "task", "dataset"]

#: Off in workers, which are processes of their own and have a time limit.
tried_apart = True
_OURS = "dl-harness"

PLUGIN_FILES_VARIABLE = "HARNESS_PLUGIN_FILES"

_Plugin = TypeVar("_Plugin", Backend, TaskDefinition, DataSource)


@functools.cache
def _entry_points(kind: Kind) -> dict[str, list[metadata.EntryPoint]]:
    """The entry points of each name; more than one where distributions claim the same name."""
    found: dict[str, list[metadata.EntryPoint]] = {}
    for point in metadata.entry_points(group=f"harness.{kind}s"):
        found.setdefault(point.name, []).append(point)
    return found


def names(kind: Kind) -> list[str]:
    """The names of all installed plugins of a kind, sorted; imports none of them."""
    return sorted(_entry_points(kind))


def _distribution(point: metadata.EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"


def _load(kind: Kind, name: str, expected: type[_Plugin]) -> tuple[_Plugin, metadata.EntryPoint | None]:
    """The plugin, and the entry point that it was found by; None for a file's."""
    for path in plugin_files():
        where = f"plugin file {path}"
        if tried_apart:
            trial.try_file(str(path), where)
        plugin = _ask(kind, name, expected, where, functools.partial(_import_file, path))
        if plugin is not None:
            return plugin, None
    points = _entry_points(kind)
    if name not in points:
        label = "data set" if kind == "dataset" else kind
        raise unknown_name(label, name, points)
    if len({point.value for point in points[name]}) > 1:
        rivals = " and ".join(_distribution(point) for point in points[name])
        raise PluginError(f"{kind} {name!r} is claimed by {rivals}; uninstall one of them")
    point = points[name][0]
    where = f"{kind} plugin {name!r} ({_distribution(point)})"
    if tried_apart and not (point.dist and point.dist.name == _OURS):
        trial.try_point(point, where)
    plugin = _ask(kind, name, expected, where, point.load)
    if plugin is None:
        raise PluginError(
            f"{where} answered harness_{kind}({name!r}) with NoneType, where {expected.__name__} is expected"
        )
    return plugin, point


def _ask(
    kind: Kind, name: str, expected: type[_Plugin], where: str, load: Callable[[], object]
) -> _Plugin | None:
    """What the plugin that ``load`` gives answers for this name; None where it is not its own."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        with nothing_on_stdout():
            manager.register(load())
            hook: Callable[..., object] = getattr(manager.hook, f"harness_{kind}")
            plugin = hook(name=name)
    except (Exception, SystemExit) as error:
        raise PluginError(f"{where} could not be loaded: {type(error).__name__}: {error}") from error
    if plugin is None:
        return None
    if not isinstance(plugin, expected):
        raise PluginError(
            f"{where} answered harness_{kind}({name!r}) with {type(plugin).__name__}, "
            f"where {expected.__name__} is expected"
        )
    if (named := getattr(plugin, "name", None)) != name:
        raise PluginError(f"{where} answered harness_{kind}({name!r}) with one named {named!r}")
    try:
        checks.check(plugin)
    except Exception as error:
        raise PluginError(f"{where} breaks the contract: {error}") from error
    return plugin


def plugin_files() -> list[Path]:
    """The plugin files named by ``--plugin``; they travel to workers in an environment variable."""
    return [Path(text) for text in os.environ.get(PLUGIN_FILES_VARIABLE, "").split(os.pathsep) if text]


@functools.cache
def _import_file(path: Path) -> ModuleType:
    """The module in a plugin file, under a name of its own."""
    digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(f"harness_plugin_file_{digest}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def backend(name: str) -> Backend:
    """The backend of this name.

    Raises:
        UsageError: no plugin has this name.
        PluginError: the plugin cannot be loaded.
    """
    return _load("backend", name, Backend)[0]  # type: ignore[type-abstract]


def backend_distribution(name: str) -> str | None:
    """Name and version of what an installed backend that is not our own came with; None of any other.

    Raises as :func:`backend`.
    """
    _, point = _load("backend", name, Backend)  # type: ignore[type-abstract]
    if point is None or point.dist is None or point.dist.name == _OURS:
        return None
    return _distribution(point)


def task(name: str) -> TaskDefinition:
    """The task of this name; raises as :func:`backend`."""
    return _load("task", name, TaskDefinition)[0]


def dataset(name: str) -> DataSource:
    """The source of the data set of this name; raises as :func:`backend`."""
    return _load("dataset", name, DataSource)[0]  # type: ignore[type-abstract]


def runs_our_code(python: str, variables: Iterable[str]) -> bool:
    """Whether a worker of this interpreter, with these variables set, has the plugins that this process has.

    Another interpreter, or one that is told to look elsewhere, may have others.
    """
    elsewhere = ("PYTHON", PLUGIN_FILES_VARIABLE)
    return python == sys.executable and not any(name.startswith(elsewhere) for name in variables)
