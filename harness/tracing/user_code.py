"""The user's own code: a callable in a file or a module, and what it returns."""

import functools
import importlib
import importlib.util
import inspect
import os
import re
import stat
import sys
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from harness.errors import UsageError

_FILE = ".py"
#: A longer file is no source.
_MOST_BYTES = 1 << 24
_NAMES = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_file(target: str) -> bool:
    """Check that a target names a file, not a module."""
    return split_target(target)[0].endswith(_FILE)


def user_module(place: str) -> ModuleType:
    """Import the module of a target's first part: a file, an installed module, or one in the current folder.

    The current folder comes last: in a gate it is the folder of head, and base must not import its code.
    """
    try:
        if place.endswith(_FILE):
            return _file(Path(place))
        sys.path.append(str(Path.cwd()))
        return importlib.import_module(place)
    except UsageError:
        raise
    except ModuleNotFoundError as error:
        needed = f"{place} needs {error.name}, which" if error.name != place else f"the module {place}"
        raise UsageError(f"{needed} is not installed") from error
    except BaseException as error:  # whatever the user's code raises
        raise UsageError(f"{place} cannot be imported: {described(error)}") from error


def _source(path: Path) -> Path:
    """Return the path of a file that can be read: Python reads a device or a pipe without end."""
    try:
        status = path.stat()
    except OSError as error:
        raise UsageError(f"there is no file {path}") from error
    if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
        raise UsageError(f"{path} is not a Python file, or has more than {_MOST_BYTES:,} bytes")
    return path


def _file(path: Path) -> ModuleType:
    _source(path)
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def user_callable(module: ModuleType, name: str, place: str) -> Callable[..., Any]:
    """Return the callable of this name."""
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if callable(found):
        return found  # type: ignore[no-any-return]
    functions = [key for key, value in vars(module).items() if inspect.isfunction(value)]
    listed = f" It has {', '.join(sorted(functions)[:8])}." if functions else ""
    raise UsageError(f"{place} has no callable {name!r}.{listed}")


def call_user(factory: Callable[..., Any], target: str, arguments: Mapping[str, Any]) -> Any:
    """Call ``factory`` and return the result."""
    _check_arguments(factory, target, arguments)
    try:
        return factory(**_with_tuples(factory, arguments))
    except BaseException as error:
        raise UsageError(f"{target} raised {described(error)}") from error


def _with_tuples(factory: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments, lists as tuples where annotations or defaults are: JSON has no tuples."""
    if not any(isinstance(value, list) for value in arguments.values()):
        return dict(arguments)
    parameters = inspect.signature(factory).parameters

    def is_tuple(name: str) -> bool:
        if (parameter := parameters.get(name)) is None:
            return False
        declared = str(parameter.annotation).removeprefix("<class '").startswith("tuple")
        return declared or isinstance(parameter.default, tuple)

    return {
        name: tuple(value) if isinstance(value, list) and is_tuple(name) else value
        for name, value in arguments.items()
    }


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


def split_target(target: str) -> tuple[str, str]:
    """Split a target into its file or module, and the name in it; ``~`` becomes the home folder."""
    place, _, name = target.rpartition(":")
    is_place = (place.endswith(_FILE) and "\0" not in place) or _NAMES.fullmatch(place)
    if not is_place or not _NAMES.fullmatch(name):
        raise UsageError(f"{target!r} names no callable: give FILE.py:CALLABLE or package.module:CALLABLE")
    return os.path.expanduser(place), name  # noqa: PTH111  a text


def described(error: BaseException) -> str:
    """Return the type and the first line of an exception, and of Keras's the reason below that line."""
    try:
        text = str(error).strip()
    except Exception:  # noqa: BLE001  a user's exception may raise here, too
        text = ""
    first = text.partition("\n")[0]
    reason = _IN_BOLD.search(text)
    if reason is not None:
        first = " ".join([first, *reason[1].split()]) if reason.start() > len(first) else reason[1]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


#: Where a layer raises, Keras names the layer first, and prints the error itself in bold.
_IN_BOLD = re.compile(r"\x1b\[1m(.*?)\x1b\[0m", re.DOTALL)


#: Packages whose code is not the user's.
_FRAMEWORKS = frozenset(
    {"torch", "keras", "tensorflow", "jax", "jaxlib", "flax", "optax", "numpy", "harness"}
    | {f"harness_{name}" for name in ("torch", "keras", "jax")}
)


def user_line() -> str:
    """Return the line of the user's code that runs now, ``model.py:41``; empty if none is on the stack."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  the documented way to the stack, without a list of it
    while frame is not None:
        if _is_user(frame.f_code.co_filename):
            return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


@functools.cache
def _is_user(filename: str) -> bool:
    standard = "site-packages" not in filename and filename.startswith(sysconfig.get_path("stdlib"))
    return filename[:1] != "<" and _FRAMEWORKS.isdisjoint(_packages(filename)) and not standard


def _packages(filename: str) -> list[str]:
    """Return the names of the top-level package and of the folders around it."""
    parts = Path(filename).parts
    last = max((place for place, part in enumerate(parts) if part == "site-packages"), default=None)
    if last is not None:
        return [parts[last + 1]]
    # An installation in place: the package is a folder that has its name.
    return [part for place, part in enumerate(parts) if (Path(*parts[: place + 1]) / "__init__.py").is_file()]


def own_callable(target: str) -> Callable[..., Any]:
    """Return the callable of a target; raise as :func:`user_module` and :func:`user_callable`."""
    place, name = split_target(target)
    return user_callable(user_module(place), name, place)


def make_model(target: str, arguments: Mapping[str, Any]) -> Any:
    """Call the callable of a target; raises as :func:`user_module` and :func:`call_user`."""
    place, name = split_target(target)
    return call_user(user_callable(user_module(place), name, place), target, arguments)
