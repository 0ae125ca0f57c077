"""A plugin file: PyTorch's eager mode with a stated share of each step's own time added to it.

The truth that duels are tried on. The share is of the step just made, as this machine made it at that
moment, and is spent at work after each step: so the ratio is exact, whatever the machine does.
"""

import time

import msgspec

from harness.hookspecs import hookimpl
from harness_torch import TorchBackend

SHARES = {"by0": 0.0, "by3": 0.03, "by5": 0.05, "by20": 0.2}


class Slowing:
    """Called after each step of the optimizer."""

    def __init__(self, share):
        self._share = share
        self._begun = 0.0

    def begin(self):
        self._begun = time.perf_counter()

    def after_step(self, *_):
        now = time.perf_counter()
        until = now + self._share * (now - self._begun)
        while time.perf_counter() < until:
            pass
        self._begun = time.perf_counter()


class SlowedBackend(TorchBackend):
    name = "slowed"
    summary = "PyTorch, slowed by a stated share"
    modes = tuple(SHARES)

    def build(self, plan, data):
        program = super().build(msgspec.structs.replace(plan, mode="eager"), data)
        slowing = Slowing(SHARES[plan.mode])
        for step in (program._step, program._short_step):
            step._update._optimizer.register_step_post_hook(slowing.after_step)
        train = program.train

        def slowed_train(steps):
            slowing.begin()
            return train(steps)

        program.train = slowed_train
        return program


@hookimpl
def harness_backend(name):
    return SlowedBackend() if name == "slowed" else None
