"""The user's own code: a callable in a file or a module, called for a model."""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import UsageError
from harness.tracing.side import InputShape, OwnTraining, Side, SidePlugin

#: The names of a file's own optimizer and loss.
MAKE_OPTIMIZER, MAKE_LOSS = "make_optimizer", "make_loss"


def load_side(
    target: str, arguments: Mapping[str, Any], shapes: Sequence[InputShape]
) -> tuple[Side, OwnTraining]:
    """The side that a target gives, ``FILE.py:NAME`` or ``package.module:NAME``.

    Raises:
        UsageError: there is no such callable, it needs other arguments, it raised, or it returned something
            that is no model of a known framework.
    """
    place, name = split_target(target)
    module = _module(place)
    factory = _attribute(module, name, place)
    plugins = _plugins()
    for framework, plugin in plugins.items():
        if _is_imported(framework):
            plugin.prepare()
    built = _call(factory, target, arguments)
    own = OwnTraining(getattr(module, MAKE_OPTIMIZER, None), getattr(module, MAKE_LOSS, None))
    for plugin in plugins.values():
        if plugin.claims(built):
            plugin.prepare()
            return plugin.make_side(built, shapes, own), own
    known = ", ".join(sorted(plugins))
    raise UsageError(
        f"{target} returned {_kind(built)}, which is no model of a known framework ({known}). Return a "
        "torch.nn.Module, a keras.Model or Layer, a flax module, or a pair of parameters and a function."
    )


def split_target(target: str) -> tuple[str, str]:
    """The file or module of a target, and the name in it.

    Raises:
        UsageError: it has another form.
    """
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise UsageError(f"{target!r} names no model: give FILE.py:CALLABLE or package.module:CALLABLE")
    return place, name


def _module(place: str) -> ModuleType:
    try:
        if place.endswith(".py"):
            return _file(Path(place))
        sys.path.insert(0, str(Path.cwd()))
        return importlib.import_module(place)
    except UsageError:
        raise
    except ModuleNotFoundError as error:
        needed = f"{place} needs {error.name}, which" if error.name != place else f"the module {place}"
        raise UsageError(f"{needed} is not installed") from error
    except BaseException as error:  # whatever the user's code raises
        raise UsageError(f"{place} cannot be imported: {described(error)}") from error


def _file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _attribute(module: ModuleType, name: str, place: str) -> Callable[..., Any]:
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if callable(found):
        return found  # type: ignore[no-any-return]
    functions = [key for key, value in vars(module).items() if inspect.isfunction(value)]
    listed = f" It has {', '.join(sorted(functions)[:8])}." if functions else ""
    raise UsageError(f"{place} has no callable {name!r}.{listed}")


def _call(factory: Callable[..., Any], target: str, arguments: Mapping[str, Any]) -> Any:
    _check_arguments(factory, target, arguments)
    try:
        return factory(**arguments)
    except BaseException as error:
        raise UsageError(f"{target} raised {described(error)}") from error


def _check_arguments(factory: Callable[..., Any], target: str, arguments: Mapping[str, Any]) -> None:
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        return
    named = {
        name: each for name, each in signature.parameters.items() if each.kind is not each.VAR_POSITIONAL
    }
    takes_any = any(each.kind is each.VAR_KEYWORD for each in named.values())
    unknown = [name for name in arguments if name not in named and not takes_any]
    if unknown:
        known = ", ".join(name for name, each in named.items() if each.kind is not each.VAR_KEYWORD)
        raise UsageError(f"{target} has no argument {unknown[0]!r}; it takes {known or 'none'}")
    missing = [
        name
        for name, each in named.items()
        if each.default is each.empty and each.kind is not each.VAR_KEYWORD and name not in arguments
    ]
    if missing:
        raise UsageError(
            f"{target} needs {', '.join(missing)}: give --set-a {missing[0]}=VALUE, or --set-b for the "
            "second model"
        )


def _plugins() -> dict[str, SidePlugin]:
    """The modules of the frameworks whose plugin can be imported."""
    found: dict[str, SidePlugin] = {}
    for entry in importlib.metadata.entry_points(group="harness.sides"):
        with contextlib.suppress(ImportError):  # its distribution is broken; other frameworks work
            found[entry.name] = entry.load()
    return found


def _is_imported(framework: str) -> bool:
    return framework in sys.modules or (framework == "jax" and "flax" in sys.modules)


def _kind(built: Any) -> str:
    kind = type(built)
    return f"{kind.__module__}.{kind.__qualname__}" if kind.__module__ != "builtins" else f"a {kind.__name__}"


def described(error: BaseException) -> str:
    """The type and the first line of an exception."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # noqa: BLE001  a user's exception may raise here, too
        lines = []
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
