"""Pairs of a duel with a known ratio, noise, disturbances and pauses."""

import math

import msgspec

from harness.timing.duel import verdict
from harness.timing.engine.record import BlockRecord, PairRecord, ProcessRecord

#: A process of a pair; tests replace what they are about.
PROCESS = ProcessRecord(
    import_seconds=1.0,
    build_seconds=1.0,
    first_step_seconds=1.0,
    warm_up_seconds=[],
    settled=True,
    measured={"peak_memory_bytes": 1},
)

#: No other program used the CPU.


def made_pair(ratio=1.0, *, turns=8, control=1.0, lost=(), seconds=0.1, first=1.0, memory=1.0):
    """A pair whose second configuration takes ``ratio`` times as long; turns in ``lost`` are disturbed.

    ``first`` and ``memory`` are the multiples of its first step and of its peak memory.
    """
    blocks = []
    for turn in range(turns):
        for index in (0, 1) if turn % 2 == 0 else (1, 0):
            time = seconds * (ratio if index else 1.0)
            slow = control if index else 1.0
            blocks.append(BlockRecord(index, turn, 6, time, 0.001 * slow, 0.0, turn in lost))
    processes = [
        msgspec.structs.replace(
            PROCESS, first_step_seconds=2.0 * first_step, measured={"peak_memory_bytes": 1e9 * peak}
        )
        for first_step, peak in ((1.0, 1.0), (first, memory))
    ]
    return PairRecord(processes, blocks, 1.0)


def changed_block(pair, configuration, turn, **changes):
    """The same pair; the block of a configuration in a turn has these changes."""
    blocks = [
        msgspec.structs.replace(block, **changes)
        if (block.configuration, block.turn) == (configuration, turn)
        else block
        for block in pair.blocks
    ]
    return msgspec.structs.replace(pair, blocks=blocks)


def compare(pairs, **options):
    """The result of these pairs with a margin of 2 %."""
    return verdict.compare(pairs, 1, ["a", "b"], [64, 64], margin=0.02, **options)


def noisy_pairs(rng, ratio, spread, pairs, **options):
    """Pairs whose log ratios are normal with this spread."""
    return [made_pair(ratio * math.exp(rng.normal(0, spread)), **options) for _ in range(pairs)]


def with_pauses(rng, made, index, share=0.15, seconds=0.34):
    """The same pair; a share of the blocks of a configuration (None: of both) contains a pause."""
    blocks = [
        msgspec.structs.replace(block, seconds=block.seconds + seconds)
        if index in (None, block.configuration) and rng.random() < share
        else block
        for block in made.blocks
    ]
    return PairRecord([], blocks, 1.0)
