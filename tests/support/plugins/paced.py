"""A backend whose steps sleep for a stated time, so that duels have a known result."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from harness.hookspecs import hookimpl
from harness.spec.backend import Backend, Program

STEP_SECONDS = 0.01
#: The duration of each mode's step relative to ``plain``.
PACES = {
    "plain": 1.0,
    "slower": 1.1,
    "fivefold": 5.0,
    "dies": 1.0,
    "hangs": 1.0,
    "diverges": 1.0,
    "unbuildable": 1.0,
}
#: The step after which failing modes fail, or the file whose existence makes them fail.
FAILS_AFTER = 30
FAILS_WHEN = os.environ.get("PACED_FAILS_WHEN")
#: What variables can change between configurations: the pace, the loss, the scores, the memory.
FACTOR = float(os.environ.get("PACED_FACTOR", "1"))
LOSS = float(os.environ.get("PACED_LOSS", "1"))
LOGIT = float(os.environ.get("PACED_LOGIT", "0"))
#: The lifetime of a process that each program starts, as a compiler would.
CHILD_SECONDS = os.environ.get("PACED_CHILD_SECONDS")
#: Extra duration of the first step after FAILS_AFTER, as if it were compiled.
LATE_SECONDS = float(os.environ.get("PACED_LATE_SECONDS", "0"))
BALLAST = np.ones(int(os.environ.get("PACED_MEMORY_MIB", "0")) * 2**17)


class PacedProgram(Program):
    device = "cpu"

    def __init__(self, mode, data):
        self.mode = mode
        self.data = data
        if CHILD_SECONDS:
            subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({CHILD_SECONDS})"])
        self.made = 0

    def load(self, weights):
        self.kept = dict(weights)

    def weights(self):
        return dict(self.kept)

    def train(self, steps):
        count = len(steps.indices)
        if self.made <= FAILS_AFTER < self.made + count:
            time.sleep(LATE_SECONDS)
        self.made += count
        time.sleep(count * STEP_SECONDS * PACES[self.mode] * FACTOR)
        if Path(FAILS_WHEN).exists() if FAILS_WHEN else self.made > FAILS_AFTER:
            if self.mode == "dies":
                print("the last words", file=sys.stderr, flush=True)
                os._exit(9)
            if self.mode == "hangs":
                time.sleep(1000)
            if self.mode == "diverges":
                return np.full(count, np.nan)
        return np.full(count, LOSS)

    def predict(self, inputs, network="model"):
        return np.tile(np.append(LOGIT, np.zeros(9)), (len(inputs), 1))

    def synchronize(self):
        pass


class PacedBackend(Backend):
    name = "paced"
    summary = "sleeps for a stated time"
    modes = tuple(PACES)
    requires = ("numpy>=2",)

    def environment(self, threads):
        return {"engine": "numpy", "numpy": np.__version__}

    def build(self, plan, data):
        if plan.mode == "unbuildable":
            print("the last words", file=sys.stderr, flush=True)
            os._exit(9)
        return PacedProgram(plan.mode, data)


class NeedyBackend(PacedBackend):
    name = "needy"
    requires = ("a-framework-that-nobody-has>=1",)


@hookimpl
def harness_backend(name):
    return {"paced": PacedBackend, "needy": NeedyBackend}.get(name, lambda: None)()
