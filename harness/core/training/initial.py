"""The initial weights of every backend, in canonical layout."""

import math

import numpy as np
import numpy.typing as npt

from harness.core.training import draws
from harness.core.training.start import started
from harness.layers import Parameter
from harness.spec.task import Task


def _initial(parameter: Parameter, seed: int, name: str) -> npt.NDArray[np.float64]:
    def uniform(limit: float) -> npt.NDArray[np.float64]:
        return (2.0 * draws.uniform(parameter.shape, seed, "weights", name) - 1.0) * limit

    def normal(deviation: float) -> npt.NDArray[np.float64]:
        return deviation * draws.normal(parameter.shape, seed, "weights", name)

    match parameter.initializer:
        case "zeros":
            return np.zeros(parameter.shape)
        case "ones":
            return np.ones(parameter.shape)
        case "uniform_fan_in":
            return uniform(1.0 / math.sqrt(parameter.fan_in))
        case "glorot_uniform":
            return uniform(math.sqrt(6.0 / (parameter.fan_in + parameter.fan_out)))
        case "he_normal":
            return normal(math.sqrt(2.0 / parameter.fan_in))
        case deviation:
            return normal(deviation)


def initial_weights(task: Task, seed: int) -> dict[str, npt.NDArray[np.float64]]:
    """Draw all weights of the task, state included, by name, each from its own stream, keyed by its name.

    Where the task starts from weights in a file, they take the place of those of their names.

    Raises:
        UsageError: the file has changed, or cannot be used.
    """
    drawn = {name: _initial(parameter, seed, name) for name, parameter in task.weights().items()}
    return drawn if task.start is None else drawn | started(task, task.start)
