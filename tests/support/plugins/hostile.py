"""A backend whose modes harm the process that uses it, in the second epoch as ``faulty`` does."""

import ctypes
import os
import subprocess
import sys
import time

import faulty
import numpy as np

from harness.hookspecs import hookimpl
from harness.spec.backend import Backend, Plan, Program
from harness.spec.data import Samples

#: Starts a process that leaves the worker's group, its session and its descendants behind.
_DETACH = """
import os
os.fork() and os._exit(0)
os.setsid()
os.fork() and os._exit(0)
os.execvp("sleep", ["sleep", "1000"])
"""


class Unprintable(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise ValueError


class HostileProgram(faulty.FaultyProgram):
    """See :class:`faulty.FaultyProgram`."""

    def _fail(self, losses: np.ndarray) -> np.ndarray:
        if self._forked:  # once is enough
            return losses
        self._forked = True
        match self._mode:
            case "flood-reply" | "trickle-reply":
                while True:
                    os.write(int(sys.argv[2]), b"x" * 65536 if self._mode == "flood-reply" else b"x")
                    time.sleep(0 if self._mode == "flood-reply" else 0.1)
            case "flood-output":
                for _ in range(30):
                    print("x" * 1_000_000)
            case "long-error":
                raise RuntimeError("first" + "x" * 5_000_000 + "last")
            case "surrogate":
                raise RuntimeError("caf\udce9 is closed")
            case "unprintable":
                raise Unprintable
            case "escape":
                raise RuntimeError("\x1b]0;owned\x07\x9b31m\u202e red\n::error::injected")
            case "segfault":
                ctypes.string_at(0)
            case "exit-0":
                os._exit(0)
            case "detach" | "detach-and-hang":
                subprocess.run([sys.executable, "-c", _DETACH], check=True)
                time.sleep(0 if self._mode == "detach" else 1000)
        return losses


class HostileBackend(faulty.FaultyBackend):
    """See :class:`faulty.FaultyBackend`."""

    name = "hostile"
    summary = "harms the process that uses it"
    modes = (
        "ok",
        "flood-reply",
        "trickle-reply",
        "flood-output",
        "long-error",
        "surrogate",
        "unprintable",
        "escape",
        "segfault",
        "exit-0",
        "detach",
        "detach-and-hang",
    )

    def build(self, plan: Plan, data: Samples) -> Program:
        return HostileProgram(plan.mode)


@hookimpl
def harness_backend(name: str) -> Backend | None:
    return HostileBackend() if name == "hostile" else None
