"""Blocks of steps of one length, cut from the batches of a task."""

import math
from collections.abc import Callable

from harness.training.batches import BatchOrder


class TimedBlocks:
    """Makes blocks of full batches, each in calls of one length; ``step`` steps have been made before.

    ``train(steps)`` makes the next steps and returns the seconds that it reports.
    """

    def __init__(self, order: BatchOrder, train: Callable[[int], float], step: int = 0) -> None:
        self._order = order
        self.longest_call = order.full_steps
        self._train = train
        self._step = step
        self._lengths: set[int] = set()

    def even_steps(self, fewest: int) -> int:
        """At least so many steps in calls of one length."""
        return self._order.even_steps(fewest)

    def block(self, steps: int) -> float:
        """The reported seconds of this many steps: a part of an epoch, or whole epochs.

        The first call of each length is made twice, and the rest of an epoch is not counted.
        """
        part = min(steps, self._order.full_steps)
        if part not in self._lengths:
            self._part(part)
            self._lengths.add(part)
        return math.fsum(self._part(part) for _ in range(steps // part))

    def _part(self, steps: int) -> float:
        order = self._order
        while order.run_length(self._step) < steps or self._step % order.steps_per_epoch == order.full_steps:
            self._call(order.run_length(self._step))
        return self._call(steps)

    def _call(self, steps: int) -> float:
        seconds = self._train(steps)
        self._step += steps
        return seconds
