"""Changed data, wrong randomness, and functions of the harness replaced in the worker."""

import ctypes
import functools
import importlib

import msgspec
import numpy as np

from cheating.honest import Honest
from harness.layers import Dropout


class WrongDropout(Honest):
    """Builds dropout layers of a changed rate."""

    def __init__(self, plan, data):
        super().__init__(plan, data)
        self.layers = [
            (msgspec.structs.replace(layer, rate=self.changed(layer.rate)), name)
            if isinstance(layer, Dropout)
            else (layer, name)
            for layer, name in self.layers
        ]

    def changed(self, rate):
        return rate


class DropsLess(WrongDropout):
    def changed(self, rate):
        return rate / 2


class Unscaled(float):
    """A rate that is 0 where it is subtracted from 1."""

    def __rsub__(self, other):
        return float(other)


class DoesNotScale(WrongDropout):
    changed = staticmethod(Unscaled)


class SameMask(Honest):
    """The generator of each step starts from the same state."""

    def _forward(self, x, *, training):
        step, self.step = self.step, 0
        try:
            return super()._forward(x, training=training)
        finally:
            self.step = step


def overwrite(array, value=0):
    """Write through a pointer, as a framework does that shares an array's memory."""
    ctypes.memset(array.ctypes.data, value, array.nbytes)


class WritesInputs(Honest):
    """``torch.from_numpy(inputs).mul_(0.5)`` in train()."""

    def train(self, steps):
        overwrite(self.inputs)
        return super().train(steps)


class WritesTargets(Honest):
    def train(self, steps):
        overwrite(self.targets)
        return super().train(steps)


class WritesInPredict(Honest):
    def predict(self, inputs, network="model"):
        overwrite(inputs)
        return super().predict(inputs, network)


class UnlocksInPredict(Honest):
    def predict(self, inputs, network="model"):
        array = inputs
        while isinstance(array, np.ndarray):
            array.setflags(write=True)
            array = array.base
        inputs[:] *= 0.5
        return super().predict(inputs, network)


class HalfLosses(Honest):
    """Losses in float16."""

    def train(self, steps):
        return super().train(steps).astype(np.float16)


def replaced(name, by, base=Honest):
    """A program that replaces a function of the harness in its process by ``by(original)``."""

    class Replaces(base):
        def __init__(self, plan, data):
            super().__init__(plan, data)
            module, _, attribute = name.partition(":")
            *path, last = attribute.split(".")
            owner = functools.reduce(getattr, path, importlib.import_module(module))
            original = getattr(owner, last)
            if not hasattr(original, "replaced"):
                new = by(original)
                new.replaced = True
                setattr(owner, last, new)

    return Replaces


def reports_less(factor):
    """Blocks report a part of their time."""

    def by(train):
        def shorter(worker, count):
            trained = train(worker, count)
            return msgspec.structs.replace(trained, seconds=trained.seconds * factor)

        return shorter

    return replaced("harness.core.worker.requests:Worker._train", by=by)


def perfect_scores(score):
    def perfect(task, predict, samples):
        scored = score(task, predict, samples)
        return scored._replace(scores=scored.scores | {"accuracy": 1.0})

    return perfect
