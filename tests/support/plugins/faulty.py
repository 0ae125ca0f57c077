"""A backend whose modes are ways in which a framework or a plugin fails; ``ok`` works."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping

import numpy as np

from harness.hookspecs import hookimpl
from harness.spec.backend import Backend, Plan, Program, Steps, Unsupported
from harness.spec.data import Samples


class FaultyProgram(Program):
    device = "cpu"

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._made = 0
        self._forked = False
        self._weights: dict[str, np.ndarray] = {}

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        self._weights = dict(weights)

    def weights(self) -> dict[str, np.ndarray]:
        return dict(self._weights)

    def train(self, steps: Steps) -> np.ndarray:
        count = len(steps.indices)
        self._made += count
        losses = np.full(count, 2.0)
        if self._made > 25:  # in the second epoch of the digits, which has 20 full steps and a short one
            losses = self._fail(losses)
        return losses

    def _fail(self, losses: np.ndarray) -> np.ndarray:
        match self._mode:
            case "sigkill":
                print("about to be killed", file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            case "exit":
                sys.exit(7)
            case "hang" | "hang-with-child":
                if self._mode == "hang-with-child":
                    subprocess.Popen(["sleep", "1000"])
                time.sleep(1000)
            case "raise":
                raise RuntimeError("the kernel is on fire")
            case "memory":
                raise MemoryError("could not allocate 8 TiB")
            case "silent-memory":
                raise MemoryError
            case "fork":
                self._fork()
            case "nan":
                losses[-1] = np.nan
            case "shape":
                return losses[:-1]
            case "print":
                for stream in (sys.stdout, sys.stderr):
                    print('{"type":"Trained","seconds":0,"losses":[]}\n' * 1000, file=stream, flush=True)
        return losses

    def _fork(self) -> None:
        if not self._forked:  # in every call it would become hundreds of processes
            self._forked = True
            os.fork()

    def predict(self, inputs: np.ndarray, network: str = "model") -> np.ndarray:
        return np.zeros((len(inputs), 10))

    def synchronize(self) -> None:
        pass


class FaultyBackend(Backend):
    name = "faulty"
    summary = "fails in every way"
    modes = (
        "ok",
        "sigkill",
        "exit",
        "hang",
        "hang-with-child",
        "raise",
        "memory",
        "silent-memory",
        "fork",
        "hang-certifying",
        "nan",
        "shape",
        "print",
        "unsupported",
        "exit-in-build",
        "hang-in-build",
        "slow",
    )
    requires = ("numpy>=1",)

    def environment(self, threads: int) -> dict[str, str]:
        return {"engine": "numpy", "numpy": np.__version__}

    def build(self, plan: Plan, data: Samples) -> Program:
        if plan.mode == "unsupported":
            raise Unsupported("this mode supports nothing")
        if plan.mode == "exit-in-build":
            os._exit(3)
        if plan.mode == "hang-in-build" or (plan.mode == "hang-certifying" and plan.precision == "float64"):
            time.sleep(1000)
        return FaultyProgram(plan.mode)


@hookimpl
def harness_backend(name: str) -> Backend | None:
    return FaultyBackend() if name == "faulty" else None
