"""How training is cut into timed blocks."""

from harness.training.batches import BatchOrder

#: Blocks take about this share of the training, so that a whole one can be verified within 2 % of it ...
_SHARE = 0.01
#: ... but long enough that the fixed cost of a call (Keras's ``fit``: tens of milliseconds) is a small part
#: of it, and short enough to show progress.
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.5, 2.0
#: Steps of the second block, which determines the length of the later ones.
PROBE_STEPS = 8


def block_steps(order: BatchOrder, step: int, step_seconds: float, total_steps: int) -> int:
    """Steps of the block that begins at ``step``: the first step alone, a probe, then equal blocks.

    ``step_seconds`` is the duration of a step in the block before, or 0 while unknown; ``total_steps`` those
    of the training. A block never crosses the end of an epoch and never mixes batch sizes.
    """
    left = order.run_length(step)
    if step == 0:
        return 1
    if not step_seconds:
        return min(PROBE_STEPS, left)
    block_seconds = min(_LONGEST_SECONDS, max(_SHORTEST_SECONDS, _SHARE * total_steps * step_seconds))
    blocks = max(1, round(left * step_seconds / block_seconds))
    return -(-left // blocks)
