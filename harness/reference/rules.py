"""What is often done otherwise than the contract says, as data for the training in plain NumPy."""

from typing import Literal, NamedTuple


class Rules(NamedTuple):
    """What a training does; the defaults are the contract, every other value is a known mistake."""

    unbiased_running: bool = True
    """Whether the running variance is that of ``n - 1``."""
    batch_norm: Literal["batch", "instance"] = "batch"
    """Whether a channel is normalised over the batch and all positions, or over the positions alone."""
    layer_norm: Literal["features", "steps", "sample"] = "features"
    """The axes over which a position is normalised: the last, the first, or all of a sample."""
    attention_scaled: bool = True
    mask_offset: int = 0
    """How many positions later than itself a position attends to."""
    heads: Literal["blocks", "interleaved", "split interleaved", "packed by head"] = "blocks"
    """A head's columns: side by side, every ``heads``-th, or its query, key and value together.

    With ``split interleaved`` the outputs of the heads are side by side nevertheless.
    """
    flipped: bool = False
    """Whether a transposed convolution turns its kernel by 180 degrees."""
    gates: tuple[str, ...] = ()
    """The order of a recurrent layer's columns; empty: that of its class."""
    reset: Literal["after the bias", "before the bias", "before the product"] = "after the bias"
    """When the reset gate of a GRU is applied: to ``h @ U + c``, to ``h @ U``, or to ``h``."""
    update: Literal["keeps the state", "takes the candidate"] = "keeps the state"
    """What the update gate of a GRU is the share of."""
    backward_outputs: Literal["of their steps", "as made", "of the last step"] = "of their steps"
    """Whether outputs of the backward direction are in the order of time, and which is its last one."""
    tied: bool = True
    """Whether logits and embedding share one table in training."""
    decays: Literal["kernels", "all"] = "kernels"
    clipped: Literal["globally", "by norm + 1e-6", "each array", "each value"] = "globally"
    momentum: Literal["gradients", "steps"] = "gradients"
    """Whether the momentum gathers gradients, or steps of each step's own learning rate."""


CONTRACT_RULES = Rules()
