"""A backend whose steps take a stated time, asleep: a known truth for duels."""

import os
import sys
import threading
import time

import numpy as np

from harness.hookspecs import hookimpl
from harness.spec import Backend, Program

STEP_SECONDS = 0.01
#: Each mode's step over that of ``plain``.
PACES = {"plain": 1.0, "slower": 1.1, "lying": 1.0, "dies": 1.0, "hangs": 1.0, "diverges": 1.0}
#: Steps after which the modes that fail do so: in warm-up, or once the turns have begun.
FAILS_AFTER = int(os.environ.get("PACED_FAILS_AFTER", "30"))


class PacedProgram(Program):
    device = "cpu"

    def __init__(self, mode, data):
        self.mode = mode
        self.data = data
        self.made = 0

    def load(self, weights):
        self.kept = dict(weights)

    def weights(self):
        return dict(self.kept)

    def train(self, steps):
        count = len(steps.indices)
        self.made += count
        seconds = count * STEP_SECONDS * PACES[self.mode]
        if self.mode == "lying":
            threading.Timer(seconds, lambda: None).start()
        else:
            time.sleep(seconds)
        if self.made > FAILS_AFTER:
            if self.mode == "dies":
                print("the last words", file=sys.stderr, flush=True)
                os._exit(9)
            if self.mode == "hangs":
                time.sleep(1000)
            if self.mode == "diverges":
                return np.full(count, np.nan)
        return np.ones(count)

    def predict(self, inputs, network="model"):
        return np.zeros((len(inputs), 10))

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
        return PacedProgram(plan.mode, data)


@hookimpl
def harness_backend(name):
    return PacedBackend() if name == "paced" else None
