"""What a step of the user's own needs of PyTorch: seeds, waiting for the device, arrays.

The process of the step executes this file once torch is imported; it may import nothing of the harness.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity


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


def profile(run: Callable[[], None]) -> list[tuple[Any, str, float, float]]:
    """Run, and return what PyTorch's profiler saw: lane, operation, start and duration in seconds."""
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_initialized():
        activities.append(ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as watched:
        run()
    return [
        (
            (event.device_type, event.thread),
            event.name,
            event.time_range.start / 1e6,
            event.time_range.elapsed_us() / 1e6,
        )
        for event in watched.events()
    ]
