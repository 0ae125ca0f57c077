"""The form of each weight on the device: canonical, but for the arrays of a user's own model.

Those are as the user's code holds them, so that no training step rearranges them. What a step does to weights
besides evaluating the network does not depend on the order of their elements.
"""

import numpy as np

from harness.layers import Shape
from harness.spec import Task
from harness.spec.backend import Precision
from harness_jax.native import native_models
from harness_jax.parts import Part


class Storage:
    """Converts the weights of a task between canonical form and that on the device, by their names.

    ``hidden`` is the state of each network that is no weight of the task, as it is before the first step.
    """

    def __init__(self, task: Task, precision: Precision) -> None:
        models = {
            (network, layer): model
            for network, described in task.networks.items()
            for layer, model in native_models(described, precision).items()
        }
        self._parts: dict[str, Part] = {
            f"{network}/{layer}/{name}": part
            for (network, layer), model in models.items()
            for name, part in model.parts.items()
        }
        self.hidden: dict[str, dict[str, np.ndarray]] = {name: {} for name in task.networks}
        for (network, layer), model in models.items():
            self.hidden[network] |= {
                f"{layer}/{name}": np.asarray(each) for name, each in model.hidden.items()
            }

    def shape(self, name: str, canonical: Shape) -> Shape:
        """The shape on the device."""
        return self._parts[name].shape if name in self._parts else canonical

    def stored(self, name: str, canonical: np.ndarray) -> np.ndarray:
        """A canonical array in the form that it has on the device, maybe a view."""
        return self._parts[name].to_stored(canonical) if name in self._parts else canonical

    def canonical(self, name: str, stored: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`stored`."""
        return self._parts[name].to_canonical(stored) if name in self._parts else stored
