"""Compares steps made in long calls with the same steps made one by one, and says what a difference means."""

import math

import numpy as np

from harness.spec.task import Task
from harness.testing.continuation_words import state_fault, worst_difference
from harness.testing.long_calls import LONG_CALLS, CallsObservation, long_calls
from harness.testing.losses import Losses
from harness.testing.parity import TOLERANCE, Finding, array_differences, listed, loss_difference

#: A repetition is claimed from this many losses on, of at most so many.
_FEWEST, _MOST = 4, 8
#: Losses of a repeated batch differ from its first ones by at most this share of the spread of all losses.
_REPEATED_SHARE = 0.25


def compare_calls(observed: CallsObservation, task: Task) -> Finding:
    """The finding of the case of long calls of this task; the single steps are what is expected.

    Where the program offers a training state, also whether a second program continues from it.
    """
    steps = [loss_difference(a, b) for a, b in zip(observed.long, observed.single, strict=True)]
    weights = array_differences(observed.long_weights, observed.single_weights)
    worst = max([*steps, *weights.values()])
    if worst <= TOLERANCE:
        if observed.continuation is None:
            return Finding(LONG_CALLS, worst, "")
        fault = state_fault(observed.continuation, task)
        worst = math.inf if fault else max(worst, worst_difference(observed.continuation))
        return Finding(LONG_CALLS, worst, fault)
    wrong = next((step for step, difference in enumerate(steps) if difference > TOLERANCE), None)
    if wrong is None:
        bad = {name: value for name, value in weights.items() if value > TOLERANCE}
        return Finding(
            LONG_CALLS,
            worst,
            "all losses in long calls equal those of the same steps made one by one, the weights after the "
            f"last step do not: {listed(bad)}; look at how a long call ends",
        )
    return Finding(LONG_CALLS, worst, _explain(observed, wrong))


def _explain(observed: CallsObservation, wrong: int) -> str:
    """What the first wrong loss, that of step ``wrong`` counted from 0, points to."""
    calls = long_calls()
    number = next(i for i, (start, count) in enumerate(calls) if start <= wrong < start + count)
    start, count = calls[number]
    values = f"the loss is {_shown(observed.long[wrong])} instead of {_shown(observed.single[wrong])}"
    if count == 1:
        return (
            f"the short last batch after a call of {calls[number - 1][1]} steps differs from the same step "
            f"after single steps: {values}; look for a batch that is skipped at the end of an epoch, or for "
            "a call that left its last steps out"
        )
    place = wrong - start
    text = (
        f"steps in one call of {count} differ from the same steps made one by one, from step {place + 1} "
        f"on: {values}"
    )
    earlier = _repeated(observed, start, wrong, start + count)
    if earlier is not None:
        return (
            f"{text}: it repeats that of step {earlier - start + 1}: the call trains on batches that it has "
            "trained on before"
        )
    if place == 0 and observed.continuation is not None and number == len(calls) - 1:
        return f"{text}: look at training_state(), which was called before and must not change the training"
    if place == 0 and number:
        return f"{text}: look at what the call of {calls[number - 1][1]} steps before it left undone"
    return f"{text}: look at how a call is divided into parts, and at what is carried from step to step"


def _repeated(observed: CallsObservation, start: int, wrong: int, end: int) -> int | None:
    """The step whose losses the long call repeats from step ``wrong`` on; None where it repeats none."""
    length = min(_MOST, end - wrong)
    long, single = _array(observed.long), _array(observed.single)
    if length < _FEWEST or not (np.isfinite(long).all() and np.isfinite(single).all()):
        return None
    spread = np.abs(single - single.mean(axis=0)).mean()
    repeated = long[wrong : wrong + length]
    distances = {
        step: np.abs(repeated - single[step : step + length]).mean()
        for step in range(start, wrong)
        if step + length <= len(single)
    }
    nearest = min(distances, key=distances.__getitem__, default=None)
    close = nearest is not None and distances[nearest] <= _REPEATED_SHARE * spread
    return nearest if close else None


def _array(losses: Losses) -> np.ndarray:
    return np.array([[np.nan if value is None else value for value in row] for row in losses])


def _shown(row: list[float | None]) -> str:
    return " and ".join("not finite" if value is None else f"{value:.9g}" for value in row)
