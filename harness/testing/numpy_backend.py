"""The harness's own program in plain NumPy, by which the work of backends is verified; it is never timed."""

from collections.abc import Mapping

import numpy as np

from harness.spec.backend import Backend, Plan, Program, Steps, Unsupported
from harness.spec.contract import CONTRACT
from harness.spec.data import Samples
from harness.testing.numpy_training import NumpyTraining, refuse_uncovered

#: The name by which a worker is asked for it. No plugin can have it: names have no spaces.
NUMPY = "plain NumPy"


class NumpyProgram(Program):
    """Trains in float64 whatever the precision of the plan, in which losses are compared."""

    device = "cpu"

    def __init__(self, plan: Plan, data: Samples) -> None:
        """Raises Unsupported for what it does not cover."""
        nothing = {name: np.zeros(array.shape) for name, array in plan.task.weights().items()}
        self._training = NumpyTraining(plan.task, data.inputs, data.targets, nothing)

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        """See :meth:`harness.spec.Program.load`."""
        self._training.load(weights)

    def weights(self) -> dict[str, np.ndarray]:
        """See :meth:`harness.spec.Program.weights`."""
        return {name: array.copy() for name, array in self._training.weights.items()}

    def train(self, steps: Steps) -> np.ndarray:
        """See :meth:`harness.spec.Program.train`."""
        with np.errstate(all="ignore"):
            return self._training.train(steps)

    def predict(self, inputs: np.ndarray, network: str = "model") -> np.ndarray:
        """See :meth:`harness.spec.Program.predict`."""
        parts = range(0, len(inputs), _PREDICTED)
        with np.errstate(all="ignore"):
            return np.concatenate(
                [self._training.predict(inputs[at : at + _PREDICTED], network) for at in parts]
            )

    def synchronize(self) -> None:
        """NumPy is synchronous."""


_PREDICTED = 500


class NumpyBackend(Backend):
    """Builds programs of the tasks that :mod:`harness.testing.numpy_training` covers."""

    name = NUMPY
    summary = "verifies the work of others"
    modes = ("plain",)
    requires = ("numpy>=2",)
    contract = CONTRACT

    def environment(self, threads: int) -> dict[str, str]:
        """The version of NumPy, whose threads are set by the variables of the process."""
        del threads
        return {"engine": "numpy", "numpy": np.__version__}

    def build(self, plan: Plan, data: Samples) -> Program:
        """See :meth:`harness.spec.Backend.build`."""
        refuse_uncovered(plan.task)
        if plan.device.startswith("cuda"):
            raise Unsupported("no GPU")
        return NumpyProgram(plan, data)
