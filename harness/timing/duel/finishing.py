"""Which configuration finishes a training of so many steps first, and when another one does.

There is one rule for both. A pair of processes says how long each side takes for *n* steps: its start-up
(import, build, compilation, and warm-up in excess of steady steps) and *n* steady steps, whose ratio is the
one that the verdict rests on. The ratio of these totals is estimated over pairs as that of the steps is.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import Array
from harness.timing.duel.record import Finish
from harness.timing.engine.findings import start_up_seconds, steady_step_seconds
from harness.timing.engine.ratios import Ratios, log_ratio, step_ratios
from harness.timing.engine.record import PairRecord

#: No training has more steps.
_MOST_STEPS = 1e12
#: Halvings of the logarithm of the steps: the break-even is exact to 1 in 10,000.
_HALVINGS = 18


class _Totals(NamedTuple):
    """Seconds of start-up and of one step of each side ``(pairs,)``; a step is of the reference's samples."""

    start_ups: tuple[Array, Array]
    steps: tuple[Array, Array]

    def ratios(self, steps: float) -> Ratios:
        """Return the ratios of the whole times after so many steps; those of the steps alone if infinite."""
        own, reference = self.steps if math.isinf(steps) else (self.seconds(side, steps) for side in (0, 1))
        return Ratios(np.log(own / reference), fenced=True)

    def seconds(self, side: int, steps: float) -> Array:
        """Return the whole times of one side: 0 is the configuration, 1 the reference."""
        total: Array = self.start_ups[side] + steps * self.steps[side]
        return total


def finish_of(
    pairs: Sequence[PairRecord], index: int, batch_sizes: list[int], steps: int | None
) -> Finish | None:
    """Compare a configuration with the reference (index 0) over start-up and steps; None without pairs.

    ``steps`` are those of the whole training, of the reference's batch size. None: their number is not known.
    """
    totals = _totals(pairs, index, batch_sizes)
    if totals is None:
        return None
    return Finish(
        steps=steps,
        ratio=None if steps is None else totals.ratios(steps).ratio,
        seconds=None if steps is None else [float(np.median(totals.seconds(side, steps))) for side in (0, 1)],
        starts_sooner=totals.ratios(1).mean < 0,
        break_even=_break_even(totals),
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


def _break_even(totals: _Totals) -> Estimate | None:
    """Return the steps after which the other one finishes first; None if their number changes nothing.

    The interval has the numbers of steps for which neither is shown to finish first. It begins at 1 if the
    one that starts sooner is never shown to, and has no end if the other one is never shown to.
    """
    sign = 1 if totals.ratios(1).mean > 0 else -1

    def margin(end_of: Callable[[Ratios], float]) -> Callable[[float], float]:
        return lambda steps: sign * end_of(totals.ratios(steps))

    value = _crossing(margin(lambda ratios: ratios.mean))
    if value is None or value <= 1:
        return None
    pairs = len(totals.steps[0])
    ratio = totals.ratios(1).ratio
    if ratio is None or ratio.low is None:
        return Estimate(value, None, None, pairs)
    # The end nearer to 1 reaches it first, the other one last.
    near, far = (_log_of("low"), _log_of("high")) if sign > 0 else (_log_of("high"), _log_of("low"))
    low, high = _crossing(margin(near)), _crossing(margin(far))
    return Estimate(value, min(value, low or 1.0), None if high is None else max(value, high), pairs)


def _log_of(end: str) -> Callable[[Ratios], float]:
    return lambda ratios: math.log(getattr(ratios.ratio, end))


def _crossing(margin: Callable[[float], float]) -> float | None:
    """Return the steps at which a falling ``margin`` becomes negative; 1 if it is at once, None if never."""
    if margin(1) < 0:
        return 1.0
    if margin(math.inf) >= 0:
        return None
    low, high = 0.0, math.log(_MOST_STEPS)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if margin(math.exp(middle)) < 0 else (middle, high)
    return math.exp((low + high) / 2)
