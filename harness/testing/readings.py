"""Readings of the weights right after a block, and whether they found work that was still going on.

Weights can be read only when all work is done. A block that returned early shows in the time of the reading,
which must be that of a second one, or in weights that change although nobody trains.
"""

import statistics
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from harness.testing.rests import Restable

Outcome = Literal["honest", "dishonest", "not tested"]
#: What gives a clock away; see :func:`harness.testing.clock_words.reason`.
Fault = Literal[
    "work left",
    "work left at times",
    "weights change",
    "time ignores the steps",
    "works ahead",
    "works while idle",
    "other clock",
    "known batches",
]

#: How much longer the first reading may take: a share of the shortest block in use, which counts as no less
#: than this, or of the reading (the first comes with cold caches). The least excess of all readings counts.
#: It was at most 0.3 ms for four tasks in PyTorch, Keras and JAX on the CPU.
_UNFINISHED_SHARE = 0.05
_READING_SHARE = 0.2
_SHORTEST_SECONDS = 0.03
#: A single reading is late if it waits for this share of its block, and no less than this time.
_LATE_SHARE = 0.25
_LATE_SECONDS = 0.01
#: So many late readings convict, if second readings, which have nothing to wait for, are hardly ever as slow.
_LATE_READINGS = 3
_LATE_TO_SLOW = 4
#: Fewer late readings than this share of all are delays of the machine that nothing else accounts for.
_RARELY = 0.1
#: The fewest readings that convict a program of which all are late.
_FEWEST = 5
#: A reading is discarded if others took more than this share of its block.
_HINDERED_SHARE = 0.25


class Reading(NamedTuple):
    """One reading of the weights: its duration, and a checksum of what was read."""

    seconds: float
    checksum: int


class Readable(Protocol):
    """A program whose weights can be read."""

    def reading(self) -> Reading:
        """Read the weights."""

    def hindered(self) -> float:
        """Seconds since the last call in which it had work and no CPU."""


class Timed(Readable, Restable, Protocol):
    """A program whose clock is tested."""

    @property
    def longest_call(self) -> int:
        """The most steps that one call can make: those of the full batch size in an epoch."""

    def block(self, steps: int) -> float:
        """Make this many steps of the full batch size; their seconds by the program's clock."""

    def even_steps(self, fewest: int) -> int:
        """At least so many steps, which calls of one length can make."""


class AfterBlock(NamedTuple):
    """A block and two readings right after it; ``hindered`` are the seconds others took from the first."""

    block: float
    block_hindered: float
    first: Reading
    hindered: float
    again: Reading

    @property
    def excess(self) -> float:
        """How much longer the first reading took, others' share not counted."""
        return self.first.seconds - self.hindered - self.again.seconds

    @property
    def quiet(self) -> bool:
        """Whether the machine was quiet enough to learn from it."""
        whole = self.block + self.first.seconds
        return self.block_hindered + self.hindered <= _HINDERED_SHARE * whole


def read_after(timed: Readable, block: float) -> AfterBlock:
    """Read the weights twice after a block of these seconds, which has just been made."""
    block_hindered = timed.hindered()
    first = timed.reading()
    hindered = timed.hindered()
    return AfterBlock(block, block_hindered, first, hindered, timed.reading())


class Judgement(NamedTuple):
    """The outcome of some readings, the fault, and the unfinished share of a block that shows it."""

    outcome: Outcome
    fault: Fault | None = None
    unfinished_share: float = 0.0


def judge(readings: Sequence[AfterBlock], shortest_block_seconds: float) -> Judgement:
    """What these readings say. ``not tested``: more of them, or a quieter machine, may decide."""
    if any(reading.first.checksum != reading.again.checksum for reading in readings):
        return Judgement("dishonest", "weights change", 1.0)
    if not readings:
        return Judgement("not tested")
    block = statistics.median(reading.block for reading in readings)
    usual = statistics.median(reading.again.seconds for reading in readings)
    shortest = max(shortest_block_seconds, _SHORTEST_SECONDS)
    tolerated = max(_UNFINISHED_SHARE * shortest, _READING_SHARE * usual)
    least = min(reading.excess for reading in readings)
    if least > tolerated:
        return Judgement(
            "dishonest" if len(readings) >= _FEWEST else "not tested", "work left", least / block
        )
    late = [reading.excess for reading in readings if reading.excess > _late(reading, tolerated)]
    slow = [reading for reading in readings if reading.again.seconds - usual > _late(reading, tolerated)]
    if late:
        if len(late) >= _LATE_READINGS and len(late) > _LATE_TO_SLOW * len(slow):
            return Judgement("dishonest", "work left at times", max(late) / block)
        if len(late) > _RARELY * len(readings):
            return Judgement("not tested", "work left at times", max(late) / block)
    return Judgement("honest" if any(reading.quiet for reading in readings) else "not tested")


def _late(reading: AfterBlock, tolerated: float) -> float:
    return max(_LATE_SHARE * reading.block, _LATE_SECONDS, tolerated)
