"""The backend of the guide *Add a backend*, which all cheats are made of."""

import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from harness.backend_support import rules

_GUIDE = Path(__file__).parents[4] / "docs" / "how-to" / "add-a-backend.md"


def _of_the_guide():
    namespace = {"__name__": "my_numpy"}
    exec(re.search(r"```python\n(.*?)```", _GUIDE.read_text(), re.DOTALL)[1], namespace)  # noqa: S102  our own
    namespace["rules"] = SimpleNamespace(**vars(rules))
    namespace["rules"].updated = lambda _np, _task, _w, gradients, _moments, _step, rate: _stepping[
        -1
    ].updated(gradients, rate)
    return namespace["NumpyBackend"], namespace["NumpyProgram"]


#: The program that makes a step now: its rules of an update are those that a cheat overrides.
_stepping = [None]
NumpyBackend, NumpyProgram = _of_the_guide()


def part(steps, rows):
    """Some of the steps of a call, with their learning rates."""
    return dataclasses.replace(steps, indices=steps.indices[rows], learning_rates=steps.learning_rates[rows])


class Honest(NumpyProgram):
    """Cheats change what a subclass overrides: a call, a step, a gradient or an update."""

    def __init__(self, plan, data):
        super().__init__(plan, data)
        self.plan = plan

    def _step(self, x, y, rate=None):
        """``rate`` is that of the task where a cheat makes a step by itself."""
        _stepping[-1] = self
        return super()._step(x, y, self.task.optimizer.learning_rate if rate is None else rate)

    def updated(self, gradients, rate):
        """The weights and moments after a step."""
        return rules.updated(np, self.task, self.w, gradients, self.moments, self.step, rate)

    def loss_alone(self, x, y):
        """The loss of a step without its backward pass and update."""
        logits = self._forward(x, training=True)[0]
        logits = logits - logits.max(axis=1, keepdims=True)
        return (np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y]).mean()
