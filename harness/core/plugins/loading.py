"""Loading a plugin module and asking it for a name; every mistake is reported in one line."""

from collections.abc import Callable
from typing import Any, Literal, get_args

import pluggy

from harness import hookspecs
from harness.core.plugins import checks
from harness.core.plugins.faults import message_of, nothing_on_stdout
from harness.errors import PluginError
from harness.spec.backend import Backend
from harness.spec.data import DataSource
from harness.spec.study import StudyKind
from harness.spec.task import TaskDefinition

Kind = Literal["backend", "task", "dataset", "study"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: The type of a kind of plugin, its name in texts, and the group of its entry points.
TYPES: dict[Kind, Any] = {
    "backend": Backend,
    "task": TaskDefinition,
    "dataset": DataSource,
    "study": StudyKind,
}
LABELS: dict[Kind, str] = {"backend": "backend", "task": "task", "dataset": "data set", "study": "study"}
GROUPS: dict[Kind, str] = {
    "backend": "harness.backends",
    "task": "harness.tasks",
    "dataset": "harness.datasets",
    "study": "harness.studies",
}


def ask(kind: Kind, name: str, where: str, load: Callable[[], object]) -> Any:
    """Load a plugin and ask it for ``name``; return None if it has nothing of this name."""
    try:
        with nothing_on_stdout():
            hook: Callable[..., object] = getattr(_registered(load()).hook, f"harness_{kind}")
            plugin = hook(name=name)
    except (Exception, SystemExit) as error:
        raise _could_not_be_loaded(where, error) from error
    if plugin is None:
        return None
    expected = TYPES[kind]
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
        raise PluginError(f"{where} breaks the contract: {message_of(error)}") from error
    return plugin


def implemented(where: str, load: Callable[[], object]) -> list[Kind]:
    """Return the kinds whose hooks a plugin implements."""
    try:
        with nothing_on_stdout():
            manager = _registered(load())
    except (Exception, SystemExit) as error:
        raise _could_not_be_loaded(where, error) from error
    return [kind for kind in KINDS if getattr(manager.hook, f"harness_{kind}").get_hookimpls()]


def _could_not_be_loaded(where: str, error: BaseException) -> PluginError:
    return PluginError(f"{where} could not be loaded: {type(error).__name__}: {message_of(error)}")


def _registered(plugin: object) -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    return manager
