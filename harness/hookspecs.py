"""The three hooks that a plugin may implement, one for each kind of thing that can be added.

A plugin is a module or object named by an entry point in the group ``harness.backends``,
``harness.tasks`` or ``harness.datasets``; the entry point's name is the name on the command line.
The module's top level must import no framework.
"""

import pluggy

from harness.spec.backend import Backend
from harness.spec.data import DataSource
from harness.spec.task import TaskDefinition

PROJECT = "harness"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec(firstresult=True)
def harness_backend(name: str) -> Backend | None:
    """The backend of this name, or None where it is not this plugin's."""


@hookspec(firstresult=True)
def harness_task(name: str) -> TaskDefinition | None:
    """The task of this name, or None where it is not this plugin's."""


@hookspec(firstresult=True)
def harness_dataset(name: str) -> DataSource | None:
    """The data set of this name, or None where it is not this plugin's."""
