"""What is timed: a backend in a mode, its interpreter, variables, device, threads and precision."""

import sys

import msgspec

from harness.spec.backend import Precision


class Configuration(msgspec.Struct, frozen=True):
    """A backend in a mode, and how its processes run.

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
        """As written on the command line, ``torch:compile``."""
        return f"{self.backend}:{self.mode}"
