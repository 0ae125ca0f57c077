"""Which configuration finishes a training of so many steps first.

A pair of processes says how long each side takes for *n* steps: its start-up
(import, build, compilation, and warm-up in excess of steady steps) and *n* steady steps, whose ratio is the
one that the verdict rests on. The ratio of these totals is estimated over pairs as that of the steps is.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harness.core.stats.intervals import Array
from harness.timing.duel.record import Finish
from harness.timing.engine.findings import start_up_seconds, steady_step_seconds
from harness.timing.engine.ratios import Ratios, log_ratio, step_ratios
from harness.timing.engine.record import PairRecord


class _Totals(NamedTuple):
    """Seconds of start-up and of one step of each side ``(pairs,)``; a step is of the reference's samples."""

    start_ups: tuple[Array, Array]
    steps: tuple[Array, Array]

    def ratios(self, steps: float) -> Ratios:
        """Return the ratios of the whole times after so many steps."""
        own, reference = (self.seconds(side, steps) for side in (0, 1))
        return Ratios(np.log(own / reference), fenced=True)

    def seconds(self, side: int, steps: float) -> Array:
        """Return the whole times of one side: 0 is the configuration, 1 the reference."""
        total: Array = self.start_ups[side] + steps * self.steps[side]
        return total


def finish_of(
    pairs: Sequence[PairRecord], index: int, batch_sizes: list[int], steps: int | None
) -> Finish | None:
    """Compare a configuration with the reference (index 0) over start-up and ``steps``.

    The steps are those of the whole training, of the reference's batch size. Returns None without pairs, and
    where the number of steps is not known.
    """
    totals = _totals(pairs, index, batch_sizes)
    if totals is None or steps is None:
        return None
    return Finish(
        steps=steps,
        ratio=totals.ratios(steps).ratio,
        seconds=[float(np.median(totals.seconds(side, steps))) for side in (0, 1)],
    )


def _totals(pairs: Sequence[PairRecord], index: int, batch_sizes: list[int]) -> _Totals | None:
    kept = [pair for pair in pairs if log_ratio(pair, index, batch_sizes) is not None]
    if not kept:
        return None
    block_steps = {block.configuration: block.steps for block in kept[0].blocks}
    shown = {side: np.array([steady_step_seconds(pair, side) for pair in kept]) for side in (index, 0)}
    start_ups = {
        side: np.array(
            [
                start_up_seconds(pair.processes[side], step, block_steps[side]) - step
                for pair, step in zip(kept, seconds, strict=True)
            ]
        )
        for side, seconds in shown.items()
    }
    own = shown[0] * np.exp(step_ratios(kept, index, batch_sizes).logs)
    least = np.finfo(float).tiny  # a first step may be faster than the steady ones
    return _Totals((np.fmax(start_ups[index], least), np.fmax(start_ups[0], least)), (own, shown[0]))
