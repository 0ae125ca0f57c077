"""How training is cut into timed blocks."""

from harness.training.batches import BatchOrder

#: Long enough that what a call into a framework costs once (Keras's ``fit``: tens of milliseconds)
#: is a small part of a block, short enough to show progress.
BLOCK_SECONDS = 2.0
#: Steps of the second block, from which the length of the later ones follows.
PROBE_STEPS = 8


def block_steps(order: BatchOrder, step: int, step_seconds: float) -> int:
    """Steps of the block that begins at ``step``: the first step alone, a probe, then equal blocks.

    ``step_seconds`` is what a step took in the block before, 0 while that is unknown. A block never
    crosses an epoch and never mixes batch sizes.
    """
    left = order.run_length(step)
    if step == 0:
        return 1
    if not step_seconds:
        return min(PROBE_STEPS, left)
    blocks = max(1, round(left * step_seconds / BLOCK_SECONDS))
    return -(-left // blocks)
