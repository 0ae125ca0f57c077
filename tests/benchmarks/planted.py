"""A plugin file: PyTorch's eager mode with one known fault on one task, named by a variable.

``PLANTED=cnn:slower`` and so on; without the variable, or on another task, nothing is done. The truth
that gates are tried on: base and head are the same but for this variable.
"""

import os
import time

import msgspec
import numpy as np
import psutil
import torch

from harness.hookspecs import hookimpl
from harness_torch import TorchBackend

SLOWER_SHARE = 0.05
MEMORY_SHARE = 0.2


def slower(program):
    """Add a share of each step's own time to it, at work, as the machine made it at that moment."""
    begun = [0.0]

    def slowed(step):
        def call(*arguments):
            loss = step(*arguments)
            now = time.perf_counter()
            until = now + SLOWER_SHARE * (now - begun[0])
            while time.perf_counter() < until:
                pass
            begun[0] = time.perf_counter()
            return loss

        return call

    program._step, program._short_step = slowed(program._step), slowed(program._short_step)
    train = program.train

    def timed_train(steps):
        begun[0] = time.perf_counter()
        return train(steps)

    program.train = timed_train


def no_bias(program):
    """The first bias never moves from zero, as if it were not there."""
    for module in program._modules.values():
        bias = next(parameter for name, parameter in module.named_parameters() if "bias" in name)
        bias.register_hook(torch.zeros_like)


def dropout_on(program):
    """Predict in training mode."""
    for module in program._modules.values():
        module.eval = lambda: None


def hungrier(program):
    """Hold a fifth more of memory than the process has by now."""
    size = int(MEMORY_SHARE * psutil.Process().memory_info().rss)
    program.ballast = np.ones(size // 8)


AFTER = {"slower": slower, "no-bias": no_bias, "dropout-on": dropout_on, "hungrier": hungrier}


class PlantedBackend(TorchBackend):
    name = "planted"
    summary = "PyTorch, with a known fault where PLANTED names one"
    modes = ("eager",)

    def build(self, plan, data):
        task, _, fault = os.environ.get("PLANTED", "").partition(":")
        if task != plan.task.name:
            return super().build(plan, data)
        if fault == "half-rate":
            optimizer = plan.task.optimizer
            halved = msgspec.structs.replace(optimizer, learning_rate=optimizer.learning_rate / 2)
            plan = msgspec.structs.replace(plan, task=msgspec.structs.replace(plan.task, optimizer=halved))
        program = super().build(plan, data)
        if fault in AFTER:
            AFTER[fault](program)
        return program


@hookimpl
def harness_backend(name):
    return PlantedBackend() if name == "planted" else None
