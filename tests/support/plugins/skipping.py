"""A backend that leaves out every other update after the first 5 steps of a program: their rate is 0."""

import dataclasses

import numpy as np

from harness.hookspecs import hookimpl
from harness_torch import TorchBackend

HONEST_STEPS = 5


class SkippingBackend(TorchBackend):
    name = "skipping"
    summary = "leaves out updates"

    def build(self, plan, data):
        program = super().build(plan, data)
        train, made = program.train, 0

        def skipping(steps):
            nonlocal made
            numbers = made + np.arange(len(steps.indices))
            made += len(numbers)
            left_out = (numbers >= HONEST_STEPS) & (numbers % 2 == 0)
            rates = np.where(left_out, 0.0, steps.learning_rates)
            return train(dataclasses.replace(steps, learning_rates=rates))

        program.train = skipping
        return program


@hookimpl
def harness_backend(name):
    return SkippingBackend() if name == "skipping" else None
