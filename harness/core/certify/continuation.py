"""Continuation of a training by two programs: the one that returned the state, and one that loaded it.

This is how timed work is verified: blocks of a run are repeated from a saved state by a second program.
"""

from collections.abc import Callable, Sequence
from typing import Self

import msgspec
import numpy as np

from harness.core.certify.digests import digests
from harness.core.certify.observation import Observation, finite_losses, losses_of, require_finite
from harness.core.certify.parity import (
    TOLERANCE,
    Differences,
    beyond_rounding,
    first_of,
    listed,
)
from harness.core.plugins.seal import checksum
from harness.core.training.batches import BatchOrder
from harness.spec.backend import Program
from harness.spec.task import Task

#: The first step of each call of train, counted from 0, and its number of steps.
Calls = Sequence[tuple[int, int]]


class Continuation(msgspec.Struct, frozen=True):
    """Losses and digests of the final weights, and what the arrays of the state themselves show."""

    expected: Observation
    observed: Observation
    changed: list[str]
    """Arrays of the state that later steps of the program that returned them changed."""
    overwritten: list[str]
    """Arrays that the program which loaded them wrote to."""
    not_taken: list[str]
    """Arrays that the program which loaded them did not return right after."""


class SavedState:
    """The weights and the training state of a program at one moment."""

    def __init__(self, weights: dict[str, np.ndarray], state: dict[str, np.ndarray]) -> None:
        self.weights = {name: array.astype(np.float64) for name, array in weights.items()}
        self._returned = state
        self._copies = _copies(state)
        self._sums = {name: checksum(array) for name, array in self._copies.items()}

    @classmethod
    def of(cls, program: Program) -> Self | None:
        """Save the state of a program; None if it does not offer its training state."""
        state = program.training_state()
        return None if state is None else cls(program.weights(), state)

    def load_into(self, program: Program) -> list[str]:
        """Load the saved state into ``program``; return the arrays that the program's state then lacks."""
        program.load(self.weights)
        program.load_training_state(self._copies)
        return _different(self._copies, program.training_state() or {})

    def changed(self) -> list[str]:
        """Name the returned arrays that have changed."""
        return _different(self._copies, self._returned)

    def overwritten(self) -> list[str]:
        """Name the loaded arrays that have changed."""
        return [name for name, array in self._copies.items() if checksum(array) != self._sums[name]]


def _copies(state: dict[str, np.ndarray] | None) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in (state or {}).items()}


def _different(expected: dict[str, np.ndarray], observed: dict[str, np.ndarray]) -> list[str]:
    """Name the expected arrays that ``observed`` lacks or holds with other bytes, NaNs included."""
    return [
        name
        for name, array in expected.items()
        if name not in observed or array.tobytes() != observed[name].tobytes()
    ]


def observe_continuation(
    saved: SavedState,
    first: Program,
    second: Callable[[], Program],
    task: Task,
    order: BatchOrder,
    calls: tuple[Calls, Calls],
) -> Continuation:
    """Let two programs make the steps after ``saved`` in these calls: one continues, the other loads it.

    ``second`` is called when the first program has finished: building a program may set a generator that both
    programs use.
    """
    losses, weights = _trained(first, order, calls[0])
    changed = saved.changed()
    loaded = second()
    not_taken = saved.load_into(loaded)
    observed, observed_weights = _trained(loaded, order, calls[1])
    return Continuation(
        Observation(finite_losses(losses), weights=digests(task, weights)),
        Observation(finite_losses(observed), weights=digests(task, observed_weights)),
        changed,
        saved.overwritten(),
        not_taken,
    )


def _trained(program: Program, order: BatchOrder, calls: Calls) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Make these calls; return losses and final weights."""
    losses = [losses_of(program, order.steps(start, count)) for start, count in calls]
    weights = program.weights()
    require_finite("weights()", weights)
    return np.concatenate(losses), weights


def state_fault(observed: Continuation) -> str:
    """Name the fault of ``training_state`` or ``load_training_state`` in ``observed``; empty for none."""
    if observed.changed:
        changed = first_of(observed.changed)
        return f"training_state() returns memory that later steps change: {changed}; copy it"
    if observed.overwritten:
        return (
            "load_training_state() keeps the memory that it is given, and later steps change it: "
            f"{first_of(observed.overwritten)}; copy it"
        )
    differences = Differences.of(observed.observed, observed.expected)
    if differences.worst <= TOLERANCE:
        return ""
    return (
        "a second program that loads the weights and the training state does not continue as the first: "
        f"{_cause(observed, differences)}"
    )


def _cause(observed: Continuation, differences: Differences) -> str:
    if observed.not_taken:
        return (
            f"load_training_state() does not take over {first_of(observed.not_taken)}, as training_state() "
            "shows right after it"
        )
    step = differences.wrong_step
    if step is None:
        bad = listed(beyond_rounding(differences.weights))
        return f"the losses are the same, the weights after the last step are not: {bad}"
    return (
        f"the loss of its step {step + 1} is off by a relative {differences.steps[step]:.1e}; look for what "
        "updates or dropout depend on (slots of the optimizer, a step count, a generator) and the state lacks"
    )
