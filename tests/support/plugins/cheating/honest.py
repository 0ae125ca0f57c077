"""The backend of the guide *Add a backend*, which all cheats are made of."""

import re
from pathlib import Path

import numpy as np

_GUIDE = Path(__file__).parents[4] / "docs" / "how-to" / "add-a-backend.md"


def _of_the_guide():
    namespace = {"__name__": "my_numpy"}
    exec(re.search(r"```python\n(.*?)```", _GUIDE.read_text(), re.DOTALL)[1], namespace)  # noqa: S102  our own
    return namespace["NumpyBackend"], namespace["NumpyProgram"]


NumpyBackend, NumpyProgram = _of_the_guide()


class Honest(NumpyProgram):
    """Cheats change what a subclass overrides: a call, a step, a gradient or an update."""

    def __init__(self, plan, data):
        super().__init__(plan, data)
        self.plan = plan

    def loss_alone(self, x, y):
        """The loss of a step without its backward pass and update."""
        logits = self._forward(x, training=True)[0]
        logits = logits - logits.max(axis=1, keepdims=True)
        return (np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y]).mean()
