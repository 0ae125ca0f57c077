"""A configuration, which is timed: backend, mode, interpreter, variables, device, threads and precision."""

import sys

import msgspec

from harness.spec.backend import Plan, Precision
from harness.spec.task import Task


class Configuration(msgspec.Struct, frozen=True):
    """A backend in a mode, and how its processes run. The seed and the task are not part of it.

    ``device`` is as asked for, such as ``auto``; results state the device that was used beside it.
    ``python`` is the interpreter of the worker. ``variables`` are environment variables that it gets in
    addition to those of every worker, in the order of their names.
    """

    backend: str
    mode: str
    device: str
    threads: int
    precision: Precision = "float32"
    python: str = sys.executable
    variables: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Sort the variables, because configurations are compared."""
        msgspec.structs.force_setattr(self, "variables", tuple(sorted(self.variables)))

    @property
    def label(self) -> str:
        """The backend and its mode as on the command line: ``torch:compile``."""
        return f"{self.backend}:{self.mode}"

    def plan(self, task: Task, seed: int) -> Plan:
        """Return the plan that the backend is asked to build for a task."""
        return Plan(
            task=task,
            mode=self.mode,
            device=self.device,
            precision=self.precision,
            threads=self.threads,
            seed=seed,
        )
