"""The source code of plugins and of the user's own models: a change of the code may change results."""

import ast
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

from harness.core.plugins import registry
from harness.layers.native import Native
from harness.spec.task import Task


def sources_of(backend: str) -> list[Path]:
    """Return the Python files of the plugin's package, or a single file and its imports beside it."""
    module = sys.modules[type(registry.backend(backend)).__module__.partition(".")[0]]
    if hasattr(module, "__path__"):
        return [path for folder in module.__path__ for path in python_files(Path(folder))]
    file = Path(module.__file__ or "")
    alone = file.parent.name in {"site-packages", "dist-packages"}  # its neighbours are not its own
    return [file] if alone else imported_files(file)


def models_of(task: Task) -> list[str]:
    """Return the user's own code in a task, as ``FILE.py:NAME`` or ``package.module:NAME``."""
    layers = [place.layer for network in task.networks.values() for place in network.leaves()]
    models = {model.target for layer in layers if isinstance(layer, Native) for model in layer.models}
    own = task.own_code
    return sorted(models | ({getattr(own, name) for name in own.given} if own else set()))


def sources_of_models(task: Task) -> list[Path]:
    """Return the Python files of the user's own models in a task."""
    return [path for target in models_of(task) for path in _sources_of_model(target)]


def _sources_of_model(target: str) -> list[Path]:
    """Return the files that ``FILE.py:NAME`` imports, or the package's files of ``package.module:NAME``."""
    place = target.rpartition(":")[0]
    if place.endswith(".py"):
        return imported_files(Path(place).expanduser())
    spec = importlib.util.find_spec(place.partition(".")[0])
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return [path for folder in spec.submodule_search_locations for path in python_files(Path(folder))]
    return [Path(spec.origin)] if spec.origin else []


#: The folders that modules of the user's own are imported from, besides those of ``sys.path``.
_SOURCE_FOLDERS = (".", "src")
_PACKAGES = {"site-packages", "dist-packages"}


def own_files(targets: Iterable[str], files: Iterable[Path] = ()) -> list[Path]:
    """Return the files of the user's own code, whole paths, sorted: those of ``targets``, and ``files``.

    They include what they import from their own folders. Installed packages and the harness are not the
    user's own. ``targets`` are ``FILE.py:NAME`` or ``package.module:NAME``.
    """
    found = {path for file in files for path in imported_files(file)}
    for target in targets:
        found |= {*_sources_of_model(target)} or set(_sources_beside(target))
    harness = Path(__file__).parents[2]
    whole = {path.resolve() for path in found}
    return sorted(
        path for path in whole if not _PACKAGES & {*path.parts} and not path.is_relative_to(harness)
    )


def _sources_beside(target: str) -> list[Path]:
    """Return the files of ``package.module:NAME`` where the current folder has the package."""
    top = target.partition(":")[0].partition(".")[0]
    places = [Path(folder, top) for folder in _SOURCE_FOLDERS]
    return [
        path
        for place in places
        for path in (*python_files(place), place.with_suffix(".py"))
        if path.is_file()
    ]


def imported_modules(files: Iterable[Path]) -> set[str]:
    """Return the modules that Python files import, by whatever statement; the code is not run."""
    return {name for file in files for name in _imported_names(file)}


#: A file that imports or calls one of these may load any other.
_DYNAMIC = {"importlib", "importlib.util", "runpy", "imp", "__import__", "exec", "eval"}


def imported_files(file: Path) -> list[Path]:
    """Return a Python file and the files of its folder that it imports, directly or through others, sorted.

    The code is not run. A file that imports by names computed at run time counts with all the Python files
    beside it.
    """
    folder, found, waiting = file.parent, set[Path](), [file]
    while waiting:
        path = waiting.pop()
        if path in found or not path.is_file():
            continue
        found.add(path)
        names = _imported_names(path)
        if names & _DYNAMIC:
            waiting += folder.glob("*.py")
        for name in {name.partition(".")[0] for name in names}:
            waiting += [folder / f"{name}.py", *python_files(folder / name)]
    return sorted(found)


def _imported_names(path: Path) -> set[str]:
    """Return the modules that a file imports, and the functions that it calls by their own name."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                names |= {alias.name for alias in node.names}
            case ast.ImportFrom(module=None):
                names |= {alias.name for alias in node.names}
            case ast.ImportFrom(module=str(module)):
                names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
            case ast.Call(func=ast.Name(id=function)):
                names.add(function)
    return names


def python_files(folder: Path) -> list[Path]:
    """Return all Python files in a folder and its subfolders, sorted."""
    return sorted(path for path in folder.rglob("*.py") if path.is_file())
