"""The source code of plugins and of models of the user's own: where it changes, results may."""

import importlib.util
import sys
from pathlib import Path

from harness.layers.native import Native
from harness.plugins import registry
from harness.spec.task import Task


def sources_of(backend: str) -> list[Path]:
    """The Python files of the plugin's package; for a single file, those in its folder.

    Raises:
        UsageError: no plugin has this name.
        PluginError: the plugin cannot be loaded.
    """
    module = sys.modules[type(registry.backend(backend)).__module__.partition(".")[0]]
    if hasattr(module, "__path__"):
        return [path for folder in module.__path__ for path in python_files(Path(folder))]
    file = Path(module.__file__ or "")
    alone = file.parent.name in {"site-packages", "dist-packages"}  # its neighbours are not its own
    return [file] if alone else sorted(path for path in file.parent.glob("*.py") if path.is_file())


def models_of(task: Task) -> list[str]:
    """The user's own models in a task, as ``FILE.py:NAME`` or ``package.module:NAME``."""
    layers = [place.layer for network in task.networks.values() for place in network.leaves()]
    return sorted({model.target for layer in layers if isinstance(layer, Native) for model in layer.models})


def sources_of_models(task: Task) -> list[Path]:
    """The Python files of the user's own models in a task."""
    return [path for target in models_of(task) for path in _sources_of_model(target)]


def _sources_of_model(target: str) -> list[Path]:
    """The Python files beside ``FILE.py:NAME``, or those of the package of ``package.module:NAME``."""
    place = target.rpartition(":")[0]
    if place.endswith(".py"):
        return sorted(path for path in Path(place).parent.glob("*.py") if path.is_file())
    spec = importlib.util.find_spec(place.partition(".")[0])
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return [path for folder in spec.submodule_search_locations for path in python_files(Path(folder))]
    return [Path(spec.origin)] if spec.origin else []


def python_files(folder: Path) -> list[Path]:
    """All Python files in a folder and its subfolders, sorted."""
    return sorted(path for path in folder.rglob("*.py") if path.is_file())
