"""A correct backend in PyTorch behind a planted fault."""

import dataclasses

from harness.spec.backend import Backend, Program
from harness_torch import TorchBackend


def part(steps, rows):
    """The steps with these rows of every draw."""
    draws = {field.name: getattr(steps, field.name) for field in dataclasses.fields(steps)}
    noise = draws.pop("noise")
    drawn = {name: None if array is None else array[rows] for name, array in draws.items()}
    return type(steps)(**drawn, noise=noise and {name: array[rows] for name, array in noise.items()})


def one_by_one(steps):
    """Each of the steps alone."""
    return [part(steps, slice(place, place + 1)) for place in range(len(steps.indices))]


class Altered(Program):
    """A correct program behind a fault; each subclass plants one."""

    def __init__(self, right):
        self.right = right
        self.device = right.device

    def load(self, weights):
        self.right.load(weights)

    def weights(self):
        return self.right.weights()

    def train(self, steps):
        return self.right.train(steps)

    def predict(self, inputs, network="model"):
        return self.right.predict(inputs, network)

    def synchronize(self):
        self.right.synchronize()

    def training_state(self):
        return self.right.training_state()

    def load_training_state(self, state):
        self.right.load_training_state(state)


def faulty(program=Altered, plan=lambda plan: plan, only_in=None):
    """A backend that builds ``program`` around what torch makes of the changed plan.

    With ``only_in`` it is correct in every other precision.
    """

    class Faulty(Backend):
        name = "faulty"
        summary = "torch with a fault"
        modes = ("eager",)
        requires = ("torch>=2.6",)
        losses = TorchBackend.losses
        sample_gradients = TorchBackend.sample_gradients

        def environment(self, threads):
            return TorchBackend().environment(threads)

        def build(self, asked, data):
            if only_in in (None, asked.precision):
                return program(TorchBackend().build(plan(asked), data))
            return TorchBackend().build(asked, data)

    return Faulty()
