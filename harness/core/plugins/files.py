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
