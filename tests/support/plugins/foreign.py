"""PyTorch as a backend of somebody else, right at first; ``FOREIGN_FAULT`` names what goes wrong later.

``late generator``: after :data:`HONEST_STEPS` steps of a training the generator keeps its weights. Every
program of it does so, because the optimizer's step count tells.
"""

import dataclasses
import os

import numpy as np

from harness.hookspecs import hookimpl
from harness.spec import Steps

HONEST_STEPS = 105
FAULT = os.environ.get("FOREIGN_FAULT", "")


@hookimpl
def harness_backend(name):
    if name != "foreign":
        return None
    from harness_torch import TorchBackend

    class Foreign(TorchBackend):
        """As it ships, except in its name and for its fault."""

        name = "foreign"
        modes = ("eager",)

        def default_mode(self, task):
            return "eager"

        def build(self, plan, data):
            program = super().build(plan, data)
            if FAULT == "late generator":
                _keep_the_generator(program)
            return program

    return Foreign()


def _keep_the_generator(program):
    train_rightly = program.train

    def train(steps):
        return np.concatenate([step(one) for one in _one_by_one(steps)])

    def step(one):
        before = program.weights()
        losses = train_rightly(one)
        state = program.training_state()  # that of SGD counts no steps
        counts = [int(array) for name, array in state.items() if name.endswith("step")]
        if max(counts, default=0) > HONEST_STEPS:
            kept = {name: array for name, array in before.items() if name.startswith("generator/")}
            program.load(program.weights() | kept)
        return losses

    program.train = train


def _one_by_one(steps):
    arrays = {field.name: getattr(steps, field.name) for field in dataclasses.fields(steps)}
    for index in range(len(steps.indices)):
        yield Steps(**{name: None if of is None else of[index : index + 1] for name, of in arrays.items()})
