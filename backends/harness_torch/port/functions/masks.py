"""Masks of attention: as numbers to add, and causal ones recognised."""

import math

import numpy as np
import torch

from harness_torch.port.seen import Tensor
from harness_torch.port.tracer import active

#: So much is added to scores where frameworks mean minus infinity; its exponential is zero in float64.
_BLOCKING = -1e4


def additive(blocked_or_added: Tensor) -> Tensor:
    """A mask whose truth blocks, or that is added, as one that is added."""
    if blocked_or_added.dtype != torch.bool:
        return blocked_or_added
    return torch.zeros(blocked_or_added.shape).masked_fill(blocked_or_added, -math.inf)


def without_causal(mask: Tensor | None) -> tuple[int | None, Tensor | None]:
    """The causal offset of a constant added mask, and what remains to be added.

    The mask has shape (..., queries, keys). With offset ``n`` query ``i`` sees the keys up to ``i + n``.
    """
    if mask is None or active().recorder.is_live(mask):
        return None, mask
    numbers = mask.numpy()
    blocked = numbers <= _BLOCKING
    if (numbers[~blocked] != 0).any():
        return None, mask
    if not blocked.any():
        return None, None
    plane = blocked.reshape(-1, *blocked.shape[-2:])
    offset = int((~plane[0, 0]).sum()) - 1
    causal = ~np.tril(np.ones(plane.shape[-2:], bool), offset)
    return (offset, None) if (plane == causal).all() else (None, mask)


def with_causal(offset: int | None, mask: Tensor | None, queries: int, keys: int) -> Tensor | None:
    """One added mask for both."""
    if offset is None:
        return mask
    seen = torch.ones(queries, keys, dtype=torch.bool).tril(offset)
    causal = torch.zeros(queries, keys).masked_fill(~seen, -math.inf)
    return causal if mask is None else causal + mask
