"""The draw of the calls whose values are compared: after a block, in a process that no step reaches."""

import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.timing.engine.steps.process import Sample

Values = Mapping[str, Sample]


class PairValues(NamedTuple):
    """What the drawn calls of each side of a pair returned, by their numbers.

    ``seed`` is that of both sides, ``calls`` the number of calls that each made, ``steps`` those of a block.
    """

    seed: int | None
    start: int
    steps: Sequence[int]
    calls: Sequence[int]
    values: Sequence[Mapping[int, Values]]


class Draws:
    """The calls of a pair that are compared: of any range of calls, the one that was drawn, and the last.

    All sides have the same draws, so that those with equal blocks return the values of equal calls.
    """

    def __init__(self) -> None:
        self._rng = np.random.default_rng(secrets.randbits(128))
        self._ranks = np.empty(0, np.float32)
        self.start = secrets.randbits(31)
        """Chooses the numbers of large arrays that are compared."""

    def of(self, first: int, last: int) -> list[int]:
        """Return the calls to compare of those from ``first`` to ``last``, counted from 1."""
        if last > len(self._ranks):
            more = max(1024, 2 * last - len(self._ranks))
            self._ranks = np.concatenate([self._ranks, self._rng.random(more, np.float32)])
        return sorted({first + int(self._ranks[first - 1 : last].argmin()), last})
