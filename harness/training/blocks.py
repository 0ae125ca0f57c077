"""How training is cut into timed blocks."""

from harness.training.batches import BatchOrder

#: Long enough that the fixed cost of a call (Keras's ``fit``: tens of milliseconds) is a small part of a
#: block, short enough to show progress.
BLOCK_SECONDS = 2.0
#: Steps of the second block, which determines the length of the later ones.
PROBE_STEPS = 8


def block_steps(order: BatchOrder, step: int, step_seconds: float) -> int:
    """Steps of the block that begins at ``step``: the first step alone, a probe, then equal blocks.

    ``step_seconds`` is the duration of a step in the block before, or 0 while unknown. A block never crosses
    the end of an epoch and never mixes batch sizes.
    """
    left = order.run_length(step)
    if step == 0:
        return 1
    if not step_seconds:
        return min(PROBE_STEPS, left)
    blocks = max(1, round(left * step_seconds / BLOCK_SECONDS))
    return -(-left // blocks)
