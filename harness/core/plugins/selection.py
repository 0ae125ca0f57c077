"""Selection of modes after a backend's name: a mode, ``*`` for all, or nothing."""

from typing import NamedTuple

from harness.core.plugins import registry
from harness.core.plugins.faults import explain
from harness.core.plugins.installation import installation
from harness.errors import PluginError, UsageError, unknown_name
from harness.spec.backend import Backend
from harness.spec.task import Task

ALL = "*"


class Selection(NamedTuple):
    """A backend and the valid text ``written`` after the colon; empty for none."""

    backend: Backend
    written: str

    def mode(self, task: Task) -> str:
        """Return the one mode for a task."""
        if self.written == ALL:
            name, mode = self.backend.name, self.backend.modes[0]
            raise UsageError(f"{name}:{ALL}: one mode is needed here; name it, such as {name}:{mode}.")
        return self.written or default_mode(self.backend, task)

    def modes(self, task: Task) -> tuple[str, ...]:
        """Return the modes for a task, all for ``*``."""
        return self.backend.modes if self.written == ALL else (self.mode(task),)


def select_backend(text: str) -> Selection:
    """Return the installed backend that ``torch``, ``torch:compile`` or ``torch:*`` names."""
    selection = parse_backend(text)
    name = selection.backend.name
    state, detail = installation(name)
    if state != "installed":
        raise UsageError(f"backend {name} is {state}: {detail}")
    return selection


def parse_backend(text: str) -> Selection:
    """Select as :func:`select_backend`, whether or not the framework is installed."""
    name, _, written = text.partition(":")
    backend = registry.backend(name)
    known = (*backend.modes, ALL)
    if written and written not in known:
        raise unknown_name("mode", written, known, owner=f"backend {name}")
    return Selection(backend, written)


def default_mode(backend: Backend, task: Task) -> str:
    """Return the mode in which a backend trains a task if none is named."""
    try:
        mode = backend.default_mode(task)
    except (Exception, SystemExit) as error:
        raise PluginError(f"backend {backend.name}: default_mode() raised {explain(error)}") from error
    if mode not in backend.modes:
        raise PluginError(
            f"backend {backend.name}: default_mode() returned {mode!r}; expected one of {backend.modes}"
        )
    return mode
