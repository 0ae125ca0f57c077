"""What a step of the user's own needs of PyTorch: seeds, waiting for the device, arrays.

The process of the step executes this file once torch is imported; it may import nothing of the harness.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.profiler import ProfilerActivity


def seed(number: int) -> None:
    """Seed all generators."""
    torch.manual_seed(number)


def compute_in_float64() -> None:
    """Make every floating-point tensor a double, whatever type the user's code asks for."""
    torch.set_default_dtype(torch.float64)
    for name in ("from_numpy", "frombuffer"):  # no mode sees these functions
        setattr(torch, name, _doubling(getattr(torch, name)))
    _Double().__enter__()


class _Double(TorchFunctionMode):
    """Asks for float64 where the code asks for float32, and widens what functions make nevertheless."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        func = torch.Tensor.double if func is torch.Tensor.float else func
        named = {name: _wider(value) for name, value in (kwargs or {}).items()}
        return _doubled(func(*map(_wider, args), **named))


def _wider(argument: Any) -> Any:
    return torch.float64 if argument is torch.float32 else argument


def _doubling(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: _doubled(function(*args, **kwargs))


def _doubled(made: Any) -> Any:
    return made.double() if isinstance(made, torch.Tensor) and made.dtype == torch.float32 else made


def synchronize(_value: Any) -> None:
    """Wait until the GPU has finished."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def array(value: Any) -> Any:
    """Convert a tensor to an array of NumPy; other values unchanged."""
    if not isinstance(value, torch.Tensor):
        return value
    value = value.detach().cpu()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()


def profile(run: Callable[[], None]) -> list[tuple[Any, str, float, float]]:
    """Run ``run``; return the events of PyTorch's profiler: lane, operation, start and duration in s."""
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
