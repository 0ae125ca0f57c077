"""The hooks that a plugin may implement: one each for backends, tasks, data sets and kinds of study.

A plugin is a module or object named by an entry point in the group ``harness.backends``,
``harness.tasks``, ``harness.datasets`` or ``harness.studies``; the entry point's name is the name on the
command line.
The module's top level must import no framework, and nothing that the backend ``requires`` and the harness
itself does not. Such a plugin is refused, and the line is named.
"""

import pluggy

from harness.spec.backend import Backend
from harness.spec.data import DataSource
from harness.spec.study import StudyKind
from harness.spec.task import TaskDefinition

PROJECT = "harness"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec(firstresult=True)
def harness_backend(name: str) -> Backend | None:
    """Return the backend of this name, or None if this plugin has none of this name."""


@hookspec(firstresult=True)
def harness_task(name: str) -> TaskDefinition | None:
    """Return the task of this name, or None if this plugin has none of this name."""


@hookspec(firstresult=True)
def harness_dataset(name: str) -> DataSource | None:
    """Return the source of this data set, or None if this plugin has none of this name."""


@hookspec(firstresult=True)
def harness_study(name: str) -> StudyKind | None:
    """Return the kind of study of this name, or None if this plugin has none of this name."""
