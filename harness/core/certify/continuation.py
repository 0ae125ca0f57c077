"""Continuation of a training by two programs: the one that returned the state, and one that loaded it.

This is how timed work is verified: blocks of a run are repeated from a saved state by a second program.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Self

import msgspec
import numpy as np

from harness.core.certify.digests import digests
from harness.core.certify.dropout import uses_dropout
from harness.core.certify.observation import Observation, finite_losses, losses_of, require_finite
from harness.core.certify.parity import (
    TOLERANCE,
    Differences,
    beyond_rounding,
    first_of,
    listed,
    loss_difference,
)
from harness.core.plugins.seal import checksum
from harness.core.stats.deviations import exceeds
from harness.core.training.batches import BatchOrder
from harness.spec.backend import Program
from harness.spec.task import Optimizer, Task

#: The first step of each call of train, counted from 0, and its number of steps.
Calls = Sequence[tuple[int, int]]
#: Two first updates with at least this cosine are one update at different lengths.
_PARALLEL = 0.999


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
    ignored: bool
    """Whether loading changed nothing of the state."""
    update_factor: float | None = None
    """The first update after the state as a multiple of the right one; None where it is no multiple."""


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

    def load_into(self, program: Program) -> tuple[list[str], bool]:
        """Load it; returns the arrays that the state then lacks, and whether it is the one before."""
        before = _copies(program.training_state())
        program.load(self.weights)
        program.load_training_state(self._copies)
        after = program.training_state() or {}
        return _different(self._copies, after), not _different(before | after, before)

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
    """Let two programs make the steps after ``saved``, by these calls: one goes on, the other loads it.

    ``second`` is called when the first has finished: building a program may set a generator that both use.

    Raises:
        ValueError: weights are not finite.
        ContractBroken: a program broke the contract.
    """
    parameters = task.parameters()
    losses, weights, update = _trained(first, saved, parameters, order, calls[0])
    changed = saved.changed()
    loaded = second()
    not_taken, ignored = saved.load_into(loaded)
    observed, observed_weights, observed_update = _trained(loaded, saved, parameters, order, calls[1])
    return Continuation(
        Observation(finite_losses(losses), weights=digests(task, weights)),
        Observation(finite_losses(observed), weights=digests(task, observed_weights)),
        changed,
        saved.overwritten(),
        not_taken,
        ignored,
        _factor(observed_update, update),
    )


def _trained(
    program: Program, saved: SavedState, parameters: Iterable[str], order: BatchOrder, calls: Calls
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Make these calls; return losses, final weights, and the change of all parameters by the first call."""
    losses, first = list[np.ndarray](), None
    for start, count in calls:
        losses.append(losses_of(program, order.steps(start, count)))
        first = first or program.weights()
    weights = program.weights()
    require_finite("weights()", weights)
    assert first is not None  # noqa: S101  there is at least one call
    update = np.concatenate([(first[name] - saved.weights[name]).ravel() for name in parameters])
    return np.concatenate(losses), weights, update


def _factor(observed: np.ndarray, expected: np.ndarray) -> float | None:
    """Return the factor from ``expected`` to ``observed``; None where they point elsewhere."""
    lengths = float(np.linalg.norm(observed)), float(np.linalg.norm(expected))
    if 0.0 in lengths or observed @ expected < _PARALLEL * lengths[0] * lengths[1]:
        return None
    return lengths[0] / lengths[1]


def state_fault(observed: Continuation, task: Task) -> str:
    """Name the fault of ``training_state`` or ``load_training_state`` that this shows; empty for none."""
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
        f"{_cause(observed, differences, task)}"
    )


def _cause(observed: Continuation, differences: Differences, task: Task) -> str:
    if observed.not_taken:
        what = "does nothing" if observed.ignored else f"does not take over {first_of(observed.not_taken)}"
        return f"load_training_state() {what}, as training_state() shows right after it"
    first = loss_difference(observed.observed.losses[0][:1], observed.expected.losses[0][:1])
    if exceeds(first, TOLERANCE):
        missing = "what dropout draws from (a generator, a count of steps) is not in it, or is not restored"
        return (
            f"the first loss, before any update, is off by a relative {first:.1e}: "
            f"{missing if uses_dropout(task) else 'look at load() in a program that has trained'}"
        )
    step = differences.wrong_step
    if step is None:
        bad = listed(beyond_rounding(differences.weights))
        return f"the losses are the same, the weights after the last step are not: {bad}"
    return f"the first loss is the same, that of step {step + 1} is not: {_missing(observed, task.optimizer)}"


def _missing(observed: Continuation, optimizer: Optimizer) -> str:
    """Name the part of the optimizer's state that was not restored, if its updates are wrong."""
    factor = observed.update_factor
    if optimizer.counts_steps and factor is not None and abs(factor - 1) > TOLERANCE:
        return (
            f"the first update is {factor:.4g} times the right one: the optimizer's step count is not in the "
            "state, or is not restored"
        )
    if not optimizer.slots:
        return "something that an update depends on is not in the state"
    verb = "is" if len(optimizer.slots) == 1 else "are"
    return f"the optimizer's {' and '.join(optimizer.slots)} {verb} not in the state, or {verb} not restored"
