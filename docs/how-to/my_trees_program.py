"""my_trees_program.py: networks as functions of tensors in canonical layout, trained by autograd."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from my_trees_layers import ACTIVATIONS, LAYERS
from torch import Tensor

from harness.backend_support.program import FunctionalProgram


class MyTreesProgram(FunctionalProgram):
    """What PyTorch adds to the program of functions: its arrays, and their gradients."""

    xp = torch
    layers, activations = LAYERS, ACTIVATIONS

    def array(self, values: np.ndarray) -> Tensor:
        """Copy: the harness's arrays are read-only."""
        return torch.tensor(values)

    def to_numpy(self, array: Tensor) -> np.ndarray:
        """Copy: ``numpy()`` alone shares the memory."""
        return array.numpy().copy()

    def value_and_grad(
        self, function: Callable[[Mapping[str, Tensor]], tuple[Tensor, Any]], parameters: Mapping[str, Tensor]
    ) -> tuple[tuple[Tensor, Any], dict[str, Tensor]]:
        """Take the gradients of new leaves, so that no later step leads back into this one."""
        leaves = {name: w.detach().requires_grad_() for name, w in parameters.items()}
        with torch.enable_grad():
            value, other = function(leaves)
        gradients = torch.autograd.grad(value, list(leaves.values()))
        return (value.detach(), other), dict(zip(leaves, gradients, strict=True))

    def synchronize(self) -> None:
        """Do nothing: on the CPU each call of PyTorch ends with its work."""
