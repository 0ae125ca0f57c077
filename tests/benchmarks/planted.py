"""A plugin file: PyTorch's eager mode with one known fault, as the ground truth for duels and gates.

``slowed`` is slower in every step, by the share in its mode, or pauses from time to time. ``planted`` has the
fault in a variable, on one task, such as ``PLANTED=cnn:slower``. Without the variable, or on another task,
its steps are timed and not slowed down, so that base and head differ in nothing but the fault.
"""

import dataclasses
import functools
import os
import time

import msgspec
import numpy as np
import psutil

from harness.hookspecs import hookimpl
from harness_torch import TorchBackend

SLOWER_SHARES = {"by3": 0.03, "by5": 0.05, "by20": 0.2}
PLANTED_SHARES = {"slower": 0.05, "slower-10": 0.1}
MEMORY_SHARE = 0.2
PAUSE_STEPS, PAUSE_SHARE = 50, 0.12
#: The fewest elements of a simple operation that PyTorch gives to a thread.
ELEMENTS_PER_THREAD = 32768


def slower(program, share=SLOWER_SHARES["by5"]):
    """Add a share of each step's own time to it.

    The added work is spread over all of PyTorch's threads, like that of a step: with one thread at work, a
    busy hypervisor would take the CPUs of the others away, and more than the share would be lost. On a single
    thread the operands are small, because 32 KiB would displace the step from the cache: 5 % of a step of 1.5
    ms became 8 %. The cost of timing a step, 1 % of such a step, is there for a share of 0 too.
    """
    import torch

    threads = torch.get_num_threads()
    numbers = torch.zeros(ELEMENTS_PER_THREAD * threads if threads > 1 else 1, dtype=torch.uint8)
    begun = over = 0.0

    def slowed(step):
        def call(*arguments):
            nonlocal begun, over
            loss = step(*arguments)
            now = time.perf_counter()
            owed = share * (now - begun) - over
            while (spent := time.perf_counter() - now) < owed:
                numbers.add_(1)
            over = spent - owed
            begun = time.perf_counter()
            return loss

        return call

    program._step, program._short_step = slowed(program._step), slowed(program._short_step)
    train = program.train

    def timed_train(steps):
        nonlocal begun
        begun = time.perf_counter()
        return train(steps)

    program.train = timed_train


def unchanged(program):
    """Time steps without slowing them down."""
    slower(program, 0.0)


def pausing(program):
    """Sleep after every fiftieth step for a share of these steps' time: most blocks do not show it."""
    taken = []

    def paused(step):
        def call(*arguments):
            begun = time.perf_counter()
            loss = step(*arguments)
            taken.append(time.perf_counter() - begun)
            if len(taken) == PAUSE_STEPS:
                time.sleep(PAUSE_SHARE * sum(taken))
                taken.clear()
            return loss

        return call

    program._step, program._short_step = paused(program._step), paused(program._short_step)


def no_bias(program):
    """Keep the first bias at zero, as if it did not exist."""
    import torch

    for module in program._modules.values():
        bias = next(parameter for name, parameter in module.named_parameters() if "bias" in name)
        bias.register_hook(torch.zeros_like)


def dropout_on(program):
    """Predict in training mode."""
    for module in program._modules.values():
        module.eval = lambda: None


def more_memory(program):
    """Hold a fifth more memory than the process has now."""
    size = int(MEMORY_SHARE * psutil.Process().memory_info().rss)
    program.ballast = np.ones(size // 8)


def half_rate(program):
    """Train at half of the learning rate."""
    train = program.train
    program.train = lambda steps: train(dataclasses.replace(steps, learning_rates=0.5 * steps.learning_rates))


AFTER = {
    "half-rate": half_rate,
    **{fault: functools.partial(slower, share=share) for fault, share in PLANTED_SHARES.items()},
    "pausing": pausing,
    "no-bias": no_bias,
    "dropout-on": dropout_on,
    "hungrier": more_memory,  # the name in earlier trials
}


class PlantedBackend(TorchBackend):
    name = "planted"
    summary = "PyTorch, with a known fault where PLANTED names one"
    modes = ("eager",)

    def build(self, plan, data):
        task, _, fault = os.environ.get("PLANTED", "").partition(":")
        fault = fault if task == plan.task.name else ""
        program = super().build(plan, data)
        AFTER.get(fault, unchanged)(program)
        return program


class SlowedBackend(TorchBackend):
    name = "slowed"
    summary = "PyTorch, slowed down by a stated share"
    modes = (*SLOWER_SHARES, "pausing")

    def build(self, plan, data):
        program = super().build(msgspec.structs.replace(plan, mode="eager"), data)
        if plan.mode == "pausing":
            pausing(program)
        else:
            slower(program, SLOWER_SHARES[plan.mode])
        return program


@hookimpl
def harness_backend(name):
    return {"planted": PlantedBackend, "slowed": SlowedBackend}.get(name, lambda: None)()
