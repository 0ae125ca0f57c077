"""The log ratio of one pair from its undisturbed turns: of middle blocks, of all blocks, of the control."""

import math
import statistics
from collections.abc import Callable

from harness.duel.record import BlockRecord, PairRecord

#: A pair counts if at least this share of its turns was undisturbed.
_FEWEST_TURNS_SHARE = 0.5
_TRIMMED_SHARE = 0.2


def log_ratio(pair: PairRecord, index: int, batch_sizes: list[int]) -> float | None:
    """A pair's log ratio of time per sample to the reference (index 0): the trimmed mean over its turns.

    It is taken turn by turn because the state of the machine drifts within a pair, and neighbours share it. A
    fifth of the turns is trimmed at each end, because a hiccup falls into one block: of mean, median, trimmed
    mean and ratio of medians the trimmed mean varied least between repeats of 24 turns of equal
    configurations (1.9, 1.4, 1.2 and 2.3 %). None if disturbances left too few turns.
    """

    def per_sample(block: BlockRecord) -> float:
        return math.log(block.seconds / (block.steps * batch_sizes[block.configuration]))

    return _over_turns(pair, index, lambda own, reference: per_sample(own) - per_sample(reference))


def whole_log_ratio(pair: PairRecord, index: int, batch_sizes: list[int]) -> float | None:
    """The same of the total time of the turns: no block is trimmed, however long it was.

    Only this shows what falls into few blocks of a configuration, but again and again, such as a checkpoint
    at every hundredth step.
    """
    kept = _undisturbed_turns(pair)
    if kept is None:
        return None
    per_sample = [
        math.fsum(turn[own].seconds for turn in kept)
        / (sum(turn[own].steps for turn in kept) * batch_sizes[own])
        for own in (index, 0)
    ]
    return math.log(per_sample[0] / per_sample[1])


def control_log_ratio(pair: PairRecord, index: int) -> float | None:
    """The same of the control's time just before the blocks: the state of the machine for each of the two."""
    return _over_turns(
        pair, index, lambda own, reference: math.log(own.control_seconds / reference.control_seconds)
    )


def _over_turns(
    pair: PairRecord, index: int, value: Callable[[BlockRecord, BlockRecord], float]
) -> float | None:
    """The trimmed mean over turns of a value of two blocks: that of ``index`` and that of the reference."""
    kept = _undisturbed_turns(pair)
    return None if kept is None else _trimmed_mean([value(turn[index], turn[0]) for turn in kept])


def _undisturbed_turns(pair: PairRecord) -> list[dict[int, BlockRecord]] | None:
    """The blocks of each turn, by configuration; None if too few turns are left.

    A turn with a disturbed block is dropped for all configurations.
    """
    turns: dict[int, dict[int, BlockRecord]] = {}
    for block in pair.blocks:
        turns.setdefault(block.turn, {})[block.configuration] = block
    kept = [turn for turn in turns.values() if not any(block.disturbed for block in turn.values())]
    return kept if len(kept) >= max(1, _FEWEST_TURNS_SHARE * len(turns)) else None


def _trimmed_mean(values: list[float]) -> float:
    cut = int(_TRIMMED_SHARE * len(values))
    return statistics.fmean(sorted(values)[cut : len(values) - cut])
