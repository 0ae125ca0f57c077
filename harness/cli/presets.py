"""``harness run --preset``: which backends and tasks run, and at which size, where the user names none."""

from harness.errors import PluginError, UsageError
from harness.plugins import registry
from harness.plugins.installation import installation
from harness.spec.task import Preset, TaskDefinition

#: A backend a framework: what runs with a preset where no --backend is given.
_BACKENDS = ("torch", "keras", "jax")


def preset_backends() -> list[str]:
    """Those of the three frameworks that are installed here.

    Raises:
        UsageError: none is.
    """
    found = [
        name
        for name in _BACKENDS
        if name in registry.names("backend") and installation(name).state == "installed"
    ]
    if not found:
        raise UsageError(f"none of {', '.join(_BACKENDS)} is installed; name others with --backend.")
    return found


def preset_tasks(preset: str) -> list[str]:
    """The tasks that declare the preset; a plugin that is broken declares nothing."""
    return [name for name in registry.names("task") if _declares(name, preset)]


def _declares(name: str, preset: str) -> bool:
    try:
        return preset in registry.task(name).presets
    except PluginError:
        return False


def preset_of(definition: TaskDefinition, preset: str | None) -> Preset:
    """The size that a task has in a preset; one that changes nothing where no preset is asked for.

    Raises:
        UsageError: the task declares no such preset.
    """
    if preset is None:
        return Preset()
    if preset not in definition.presets:
        raise UsageError(f"task {definition.name} declares no preset {preset}; give --epochs instead.")
    return definition.presets[preset]
