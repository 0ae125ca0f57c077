"""The initial weights of every backend, in canonical layout."""

import math

import numpy as np
import numpy.typing as npt

from harness.layers import Parameter
from harness.spec.task import Task
from harness.training import draws


def _initial(parameter: Parameter, seed: int, name: str) -> npt.NDArray[np.float64]:
    if parameter.initializer == "zeros":
        return np.zeros(parameter.shape)
    if parameter.initializer == "uniform_fan_in":
        limit = 1.0 / math.sqrt(parameter.fan_in)
    else:
        limit = math.sqrt(6.0 / (parameter.fan_in + parameter.fan_out))
    return (2.0 * draws.uniform(parameter.shape, seed, "weights", name) - 1.0) * limit


def initial_weights(task: Task, seed: int) -> dict[str, npt.NDArray[np.float64]]:
    """Every parameter of the task by its full name; each is drawn from its own stream, keyed by that name."""
    return {name: _initial(parameter, seed, name) for name, parameter in task.parameters().items()}
