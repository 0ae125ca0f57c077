"""Finding plugins: names are read from entry points without importing; a plugin is loaded by name.

A plugin under development needs no installation: ``--plugin FILE`` names its module.

A broken plugin affects no other: what it raises becomes a :class:`PluginError` that names the plugin and
its distribution. Plugins of other distributions are first imported in a process of their own.
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
from typing import Literal, TypeVar, get_args

import pluggy

from harness import hookspecs
from harness.errors import PluginError, unknown_name
from harness.plugins import checks, trial
from harness.plugins.output import nothing_on_stdout
from harness.spec.backend import Backend
from harness.spec.data import DataSource
from harness.spec.task import TaskDefinition

Kind = Literal["backend", "task", "dataset"]

#: False in workers, which are separate processes with a time limit.
tried_apart = True
_OURS = "dl-harness"

PLUGIN_FILES_VARIABLE = "HARNESS_PLUGIN_FILES"

_Plugin = TypeVar("_Plugin", Backend, TaskDefinition, DataSource)


@functools.cache
def _entry_points() -> dict[Kind, dict[str, list[metadata.EntryPoint]]]:
    """The entry points of each kind and name; several where distributions claim the same name.

    Read once, because finding them opens the metadata of every distribution.
    """
    points: dict[Kind, dict[str, list[metadata.EntryPoint]]] = {}
    installed = metadata.entry_points()
    for kind in get_args(Kind):
        names = points.setdefault(kind, {})
        for point in installed.select(group=f"harness.{kind}s"):
            names.setdefault(point.name, []).append(point)
    return points


def names(kind: Kind) -> list[str]:
    """The names of all installed plugins of a kind, sorted; imports none of them."""
    return sorted(_entry_points()[kind])


@functools.cache
def _name_and_version(distribution: metadata.Distribution) -> tuple[str, str]:
    """Read once, because each access parses the whole metadata."""
    fields = distribution.metadata
    return fields["Name"], fields["Version"]


def _distribution(point: metadata.EntryPoint) -> str:
    return " ".join(_name_and_version(point.dist)) if point.dist else "an unknown distribution"


def _is_ours(point: metadata.EntryPoint) -> bool:
    return point.dist is not None and _name_and_version(point.dist)[0] == _OURS


def _load(kind: Kind, name: str, expected: type[_Plugin]) -> tuple[_Plugin, metadata.EntryPoint | None]:
    """The plugin and its entry point; None instead of an entry point for a plugin file."""
    for path in plugin_files():
        where = f"plugin file {path}"
        if tried_apart:
            trial.try_file(str(path), where)
        plugin = _ask(kind, name, expected, where, functools.partial(_import_file, path))
        if plugin is not None:
            return plugin, None
    points = _entry_points()[kind]
    if name not in points:
        label = "data set" if kind == "dataset" else kind
        raise unknown_name(label, name, points)
    if len({point.value for point in points[name]}) > 1:
        rivals = " and ".join(_distribution(point) for point in points[name])
        raise PluginError(f"{kind} {name!r} is claimed by {rivals}; uninstall one of them")
    point = points[name][0]
    where = f"{kind} plugin {name!r} ({_distribution(point)})"
    if tried_apart and not _is_ours(point):
        trial.try_point(point, where)
    plugin = _ask(kind, name, expected, where, point.load)
    if plugin is None:
        raise PluginError(
            f"{where} returned NoneType from harness_{kind}({name!r}); expected {expected.__name__}"
        )
    return plugin, point


def _ask(
    kind: Kind, name: str, expected: type[_Plugin], where: str, load: Callable[[], object]
) -> _Plugin | None:
    """Load a plugin and ask it for this name; None where it has none of this name."""
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
            f"{where} returned {type(plugin).__name__} from harness_{kind}({name!r}); "
            f"expected {expected.__name__}"
        )
    if (named := getattr(plugin, "name", None)) != name:
        raise PluginError(f"{where} returned a {kind} named {named!r} from harness_{kind}({name!r})")
    try:
        checks.check(plugin)
    except Exception as error:
        raise PluginError(f"{where} breaks the contract: {error}") from error
    return plugin


def plugin_files() -> list[Path]:
    """The plugin files named by ``--plugin``; workers inherit them in an environment variable."""
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
    """Name and version of the distribution of an installed third-party backend; None for other backends.

    Raises as :func:`backend`.
    """
    _, point = _load("backend", name, Backend)  # type: ignore[type-abstract]
    if point is None or point.dist is None or _is_ours(point):
        return None
    return _distribution(point)


def task(name: str) -> TaskDefinition:
    """The task of this name; raises as :func:`backend`."""
    return _load("task", name, TaskDefinition)[0]


def dataset(name: str) -> DataSource:
    """The source of the data set of this name; raises as :func:`backend`."""
    return _load("dataset", name, DataSource)[0]  # type: ignore[type-abstract]


def runs_our_code(python: str, variables: Iterable[str]) -> bool:
    """Whether a worker of this interpreter, with these variables set, has the plugins of this process.

    Another interpreter, or one with another search path, may have other plugins.
    """
    elsewhere = ("PYTHON", PLUGIN_FILES_VARIABLE)
    return python == sys.executable and not any(name.startswith(elsewhere) for name in variables)
