"""Rests of a program: while nothing is asked of it, it must not work."""

import statistics
from typing import Protocol

REST_SECONDS = 0.05
#: A program works in a rest of which it uses more than this share of a CPU. In 50 ms after a block of ``mlp``
#: or ``cnn`` PyTorch, Keras on each engine and JAX used at most 0.1 ms with one thread, Keras on TensorFlow
#: or JAX and JAX as little with two, and PyTorch with two 7.5 ms, because the threads of GNU's OpenMP spin.
#: On a busy machine, a thread that works on gets no more than a third of a CPU.
_WORKING_SHARE = 0.2
#: Threads of a pool may spin for some time before they sleep: those of Intel's OpenMP for 0.2 s (the
#: default of ``KMP_BLOCKTIME``). What works for longer does not wait for work.
_SPINNING_SECONDS = 0.25
#: A program that works in so many rests, and in this share of all, works while nothing is asked of it.
_FEWEST = 2
_OFTEN = 1 / 3


class Restable(Protocol):
    """A program of which nothing can be asked for a while."""

    @property
    def threads(self) -> int:
        """How many threads the program may use."""

    def rest(self, seconds: float) -> float:
        """Ask nothing of it for this time; how many CPUs it used meanwhile, 0 where that is unknown."""


class Rests:
    """What a program used of a CPU in each of its rests."""

    def __init__(self, program: Restable) -> None:
        self._program = program
        self._shares: list[float] = []

    def __len__(self) -> int:
        return len(self._shares)

    def add(self, seconds: float = REST_SECONDS) -> None:
        """Rest for at least this time; longer if threads of a pool may be what runs."""
        share = self._program.rest(seconds)
        if _WORKING_SHARE < share <= self._program.threads - 1 + _WORKING_SHARE:
            self._program.rest(max(0.0, _SPINNING_SECONDS - seconds))
            share = self._program.rest(REST_SECONDS)
        self._shares.append(share)

    @property
    def working_share(self) -> float | None:
        """The share of a CPU that it used in the rests in which it worked; None if these are few."""
        working = [share for share in self._shares if share > _WORKING_SHARE]
        enough = len(working) >= max(_FEWEST, _OFTEN * len(self._shares))
        return statistics.median(working) if enough else None
