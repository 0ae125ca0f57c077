"""The files of ``--plugin``: plugins under development, which need no installation."""

import functools
import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

#: Workers inherit the files in this environment variable, a line each, and load the same plugins.
PLUGIN_FILES_VARIABLE = "HARNESS_PLUGIN_FILES"


def name_plugin_files(paths: Iterable[Path]) -> None:
    """Make this process and its workers load these files."""
    os.environ[PLUGIN_FILES_VARIABLE] = "\n".join(str(path.resolve()) for path in paths)


#: The plugin files that this process has written itself, such as the task of a model of the user's own.
_WRITTEN: set[Path] = set()


def add_written_file(path: Path) -> None:
    """Make this process and its workers also load a plugin file that a command has written itself."""
    name_plugin_files([*plugin_files(), path])
    _WRITTEN.add(path.resolve())


def given_plugin_files() -> list[Path]:
    """Return the plugin files of the user's own, without those that a command has written itself."""
    return [path for path in plugin_files() if path not in _WRITTEN]


def plugin_files() -> list[Path]:
    """Return the files that the command line names, in its order."""
    return [Path(text) for text in os.environ.get(PLUGIN_FILES_VARIABLE, "").split("\n") if text]


@functools.cache
def import_file(path: Path) -> ModuleType:
    """Import a plugin file under a module name of its own."""
    digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(f"harness_plugin_file_{digest}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
