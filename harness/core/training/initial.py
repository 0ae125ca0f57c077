"""The initial weights of every backend, in canonical layout."""

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from harness.core.training import draws
from harness.core.training.start import started
from harness.layers import Native, Parameter
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


def own_initial(task: Task) -> set[str]:
    """Return the names of the task's weights whose initial values are those that the user's code makes."""
    return {
        f"{network}/{place.name}/{array.name}"
        for network, layers in task.networks.items()
        for place in layers.leaves()
        if isinstance(place.layer, Native) and place.layer.own_initial
        for array in (*place.layer.trained, *place.layer.held)
    }


def initial_weights(
    task: Task, seed: int, made: Mapping[str, npt.NDArray[np.float64]] = MappingProxyType({})
) -> dict[str, npt.NDArray[np.float64]]:
    """Draw all weights of the task, state included, by name, each from its own stream, keyed by its name.

    Those that the user's code has ``made``, see :func:`own_initial`, take the place of those of their names.
    So do, before these, weights in a file from which the task starts.
    """
    drawn = {
        name: made[name] if name in made else _initial(parameter, seed, name)
        for name, parameter in task.weights().items()
    }
    return drawn if task.start is None else drawn | started(task, task.start)
