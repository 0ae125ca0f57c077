"""What later steps depend on besides the weights: the optimizers' state, and the generator of dropout."""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import torch

_GENERATOR = "generator"


class TrainingState:
    """Reads and writes it; see :meth:`harness.spec.Program.training_state`."""

    def __init__(
        self, optimizers: Mapping[str, torch.optim.Optimizer], generator: torch.Generator | None
    ) -> None:
        """``optimizers`` by network; ``generator`` is None where nothing is drawn."""
        self._optimizers = dict(optimizers)
        self._generator = generator

    def read(self) -> dict[str, np.ndarray]:
        """Copies of all tensors, by network, position of the parameter, and name; none before a step."""
        state = {
            f"{network}/{position}/{name}": tensor.cpu().numpy().copy()
            for network, optimizer in self._optimizers.items()
            for position, kept in optimizer.state_dict()["state"].items()
            for name, tensor in kept.items()
        }
        if self._generator is not None:
            state[_GENERATOR] = self._generator.get_state().numpy()
        return state

    def write(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a result of :meth:`read`."""
        tensors = {key: torch.from_numpy(array.copy()) for key, array in state.items()}
        if self._generator is not None:
            self._generator.set_state(tensors.pop(_GENERATOR))
        kept: dict[str, dict[int, dict[str, torch.Tensor]]] = defaultdict(lambda: defaultdict(dict))
        for key, tensor in tensors.items():
            network, position, name = key.rsplit("/", 2)
            kept[network][int(position)][name] = tensor
        for network, optimizer in self._optimizers.items():
            optimizer.load_state_dict(optimizer.state_dict() | {"state": kept[network]})
