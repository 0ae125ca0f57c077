"""Tensors as arrays, and arrays in the place of tensors."""

# ruff: noqa: SLF001  torch has no public names for switching modes off

from collections.abc import Sequence

import numpy as np
import torch

from harness_torch.port.seen import Role, Tensor


def laid_out(role: Role) -> Tensor:
    """The canonical tensor of a role."""
    tensor, layout = role
    if layout.axis is not None:
        tensor = tensor.narrow(layout.axis, layout.start, layout.stop - layout.start)
    if layout.shape is not None:
        tensor = tensor.reshape(layout.shape)
    if layout.axes is not None:
        tensor = tensor.permute(layout.axes)
    return tensor if layout.final_shape is None else tensor.reshape(layout.final_shape)


def contains(tensors: Sequence[Tensor], tensor: Tensor) -> bool:
    """Whether one of them is this very tensor."""
    return any(each is tensor for each in tensors)


def replacement(array: np.ndarray, of: Tensor) -> Tensor:
    """A tensor of the array's numbers and of another one's type and shape."""
    return torch.from_numpy(np.array(array)).to(of.dtype).reshape(of.shape)


def put_in_place(result: Tensor, array: np.ndarray, *, in_place: bool) -> Tensor:
    """The array in place of a result, in the same tensor where the call worked in place."""
    new = replacement(array, result)
    return result.copy_(new) if in_place else new


def shared_array(tensor: Tensor) -> np.ndarray:
    """The numbers of a tensor, in the same memory."""
    with torch._C.DisableTorchFunction():
        tensor = tensor.detach()
        numbers: np.ndarray = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
        return numbers


def to_array(tensor: Tensor) -> np.ndarray:
    """The numbers of a tensor, copied, since it may be written into."""
    return np.array(shared_array(tensor))
