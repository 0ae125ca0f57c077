"""The comparison of training steps: both sides train, with what differs harmlessly made equal.

Where steps differ, and the sides' optimizers place an option differently that no option of a framework
changes, the sides train again with it in the same place: what still differs is not due to the place.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.core.models.remote_side import RemoteSide
from harness.port.causes.moves import move_causes
from harness.port.causes.optimizers import convention_causes
from harness.port.causes.training import (
    MOST_ALLOWED,
    STEPS_TOLERANCE,
    Steps,
    WorstParameter,
    held_biases,
    largest_gap,
    loss_gaps,
    worst_parameter,
)
from harness.port.evaluation import ROUNDINGS, compared, rounded
from harness.port.pairing.matching import Matching
from harness.port.record import Cause, Compared
from harness.port.sides import Sides
from harness.tracing.calls import Loss
from harness.tracing.side import Batch, Trained, Updates


class SameSteps(NamedTuple):
    """The parts that were compared, the causes, and the number of steps in which both sides train the same.

    ``steps`` is 0 where training could not be compared, for ``reason``, or differs.
    """

    compared: list[Compared]
    causes: list[Cause]
    steps: int
    reason: str = ""


class _Run(NamedTuple):
    """Both sides after the same steps.

    Of the side that was faster: the largest ``move`` and number of a parameter, and how far losses and
    parameters (relative to the move) diverge after a perturbation of one rounding.
    """

    a: Trained
    b: Trained
    move: float
    largest: float
    loss_roundings: list[float]
    rounding: float


class _Judged(NamedTuple):
    """What a run shows: its parts, the worst parameter, the losses that count, and whether rounding hides."""

    parts: list[Compared]
    worst: WorstParameter
    gap: float
    shown: int
    hidden: bool

    @property
    def equal(self) -> bool:
        return all(part.equal for part in self.parts) and not self.hidden


class TrainingSteps:
    """Steps of both sides on the same batches, each with its own optimizer and loss, if any."""

    def __init__(
        self,
        sides: Sides,
        matching: Matching,
        updates: tuple[Updates | None, Updates | None],
        loss: Loss,
        output: str,
        second: Sequence[Mapping[str, np.ndarray]],
    ) -> None:
        """Take the ``sides`` with equal parameters, their ``updates``, and the ``output`` that is trained.

        ``loss`` is for a side that has none of its own. ``second`` are masks of the
        second biases of each side that have no counterpart.
        """
        self._sides, self._matching, self._updates = sides, matching, updates
        self._loss, self._output = loss, output
        self._held = {side: dict(masks) for side, masks in zip((sides.a, sides.b), second, strict=True)}
        self._aligned: list[str] = []

    def compare(self, batches: Sequence[Batch], causes: Sequence[Cause]) -> SameSteps:
        """Compare losses and parameters; remove the effect of the harmless ones among known ``causes``."""
        explained = any(not cause.harmless for cause in causes)
        if any(cause.kind == "two biases" for cause in causes):
            self._hold_second_biases()
        count = len(batches)
        while True:
            run = self._run(batches[:count])
            judged = self._judged(run, count, explained=explained)
            if not judged.hidden or count == 1:
                break
            count = max(1, judged.shown - 1 if judged.shown < count else count // 2)
        if judged.hidden:
            return SameSteps([], [], 0, "rounding grows in each step, and hides what it does")
        found: list[Cause] = []
        if not explained and not judged.equal:
            found, judged = self._explained(batches[:count], run, judged)
        if run.move == 0.0 and judged.equal:
            reason = f"no parameter moves in {count} steps; give more: --steps"
            return SameSteps(judged.parts, found, 0, reason)
        return SameSteps(judged.parts, found, count if judged.equal else 0)

    def _hold_second_biases(self) -> None:
        """Keep second biases that the other side lacks at zero; the first biases take their values."""
        described = [side.describe().parameters for side in (self._sides.a, self._sides.b)]
        for side, (values, masks) in zip(
            (self._sides.a, self._sides.b), held_biases(self._matching, *described), strict=True
        ):
            side.load(values)
            self._held[side] |= masks

    def _explained(self, batches: Sequence[Batch], run: _Run, judged: _Judged) -> tuple[list[Cause], _Judged]:
        """Find the cause of a difference; return it, and the comparison without harmless causes."""
        found = convention_causes(*self._updates, judged.worst.gap * run.move / run.largest)
        self._aligned = [cause.kind for cause in found]
        if found:
            judged = self._judged(self._run(batches), len(batches), explained=False)
            if judged.equal:
                return found, judged
        before = self._sides.a.describe().parameters
        first = self._run(batches[:1])
        causes = move_causes(self._matching, before, first.a.parameters, first.b.parameters)
        where, gap = judged.worst.where, max(judged.gap, judged.worst.gap)
        return causes or [Cause.at("optimizer", where, where, before=gap, mode="steps")], judged

    def _judged(self, run: _Run, count: int, *, explained: bool) -> _Judged:
        """Judge ``count`` steps; the tolerance grows with rounding unless a difference is ``explained``."""
        gaps = loss_gaps(run.a.losses, run.b.losses)
        worst = worst_parameter(self._matching, run.a.parameters, run.b.parameters, scale=run.move)
        steps, allowed, hidden = Steps.of(gaps, [0.0] * count), STEPS_TOLERANCE, False
        if not explained and max(steps.worst, worst.gap) > STEPS_TOLERANCE:
            steps = Steps.of(gaps, run.loss_roundings)
            grown = ROUNDINGS * run.rounding
            allowed = max(STEPS_TOLERANCE, steps.tolerance, grown)
            hidden = steps.shown < count or grown > MOST_ALLOWED
        aside = f" ({', '.join(self._aligned)} aligned)" if self._aligned else ""
        parts = [
            compared(f"losses of {count} steps{aside}", steps.worst, steps.tolerance),
            compared(f"parameters after {count} steps{aside}", worst.gap, allowed, worst.where),
        ]
        return _Judged(parts, worst, steps.worst, steps.shown, hidden)

    def _run(self, batches: Sequence[Batch]) -> _Run:
        """Train both sides, and measure how far the faster one diverges after one rounding.

        The faster side trains again for that while the other side is still at work.
        """
        is_first, measured = threading.Lock(), list[tuple[float, float, list[float], float]]()

        def train(side: RemoteSide) -> Trained:
            def once() -> Trained:
                return side.train(
                    batches,
                    self._loss,
                    output=self._output,
                    aligned=bool(self._aligned),
                    held=self._held[side],
                )

            trained = once()
            if is_first.acquire(blocking=False):
                rng, described = np.random.default_rng(4), side.describe()
                held = {name: described.parameters[name] for name in described.trained}
                side.load({name: rounded(array, rng) for name, array in described.parameters.items()})
                again = once()
                side.load(described.parameters)
                move = largest_gap(trained.parameters, held)
                rounding = largest_gap(again.parameters, {name: trained.parameters[name] for name in held})
                largest = largest_gap(held, {name: np.zeros(1) for name in held})
                roundings = loss_gaps(trained.losses, again.losses)
                measured.append((move, largest or 1.0, roundings, rounding / move if move else 0.0))
            return trained

        a, b = self._sides.both(train)
        return _Run(a, b, *measured[0])
