"""What a step of the user's own needs of PyTorch: seeds, waiting for the device, arrays.

The process of the step executes this file once torch is imported; it may import nothing of the harness.
"""

from typing import Any

import torch


def seed(number: int) -> None:
    """Seed all generators."""
    torch.manual_seed(number)


def synchronize(_value: Any) -> None:
    """Wait until the GPU has finished."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def array(value: Any) -> Any:
    """A tensor as an array of NumPy; other values unchanged."""
    return value.detach().to("cpu", torch.float64).numpy() if isinstance(value, torch.Tensor) else value
