"""Presets: which backends and tasks run, and at which size, if the user names none."""

from harness.errors import PluginError, UsageError
from harness.plugins import registry
from harness.plugins.installation import installation
from harness.spec.task import Preset, TaskDefinition

#: One backend per framework.
_BACKENDS = ("torch", "keras", "jax")


def preset_backends() -> list[str]:
    """The installed backends among torch, keras and jax.

    Raises:
        UsageError: none is installed.
    """
    installed = [
        name
        for name in _BACKENDS
        if name in registry.names("backend") and installation(name).state == "installed"
    ]
    if not installed:
        raise UsageError(f"none of {', '.join(_BACKENDS)} is installed; name a backend with --backend.")
    return installed


def preset_tasks(preset: str) -> list[str]:
    """The tasks that declare the preset. Broken plugins are skipped."""
    return [name for name in registry.names("task") if _declares(name, preset)]


def _declares(name: str, preset: str) -> bool:
    try:
        return preset in registry.task(name).presets
    except PluginError:
        return False


def preset_of(definition: TaskDefinition, preset: str | None) -> Preset:
    """A task's size in a preset. Without a preset, one that changes nothing.

    Raises:
        UsageError: the task does not declare the preset.
    """
    if preset is None:
        return Preset()
    if preset not in definition.presets:
        raise UsageError(f"task {definition.name} has no preset {preset}; use --epochs to make it smaller.")
    return definition.presets[preset]
