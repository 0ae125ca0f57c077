"""A segment of a training, repeated by a second program and compared with what was reported."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.core.audit import budgets
from harness.core.audit.comparison import (
    LossComparison,
    WeightsCheck,
    WeightsComparison,
    compare_losses,
    deviation_of,
    equal_steps,
)
from harness.core.audit.findings import Span, Verification
from harness.core.audit.segments import Segment, Work
from harness.core.certify.certificate import Losses
from harness.core.worker import protocol
from harness.core.worker.saved_state import save_nearby, weights_in
from harness.core.worker.session import Session

_RNG = random.SystemRandom()


class _Repeater:
    """A session whose program, which was just built, repeats parts of a training."""

    def __init__(self, session: Session, folder: Path) -> None:
        self._session, self.folder = session, folder
        self._is_new = True

    def repeat(self, segment: Segment, calls: Sequence[int]) -> Losses:
        """Repeat a segment's steps in these calls; return their losses; raises as :meth:`Session.receive`."""
        if segment.needs_new_program and not self._is_new:
            self._session.call(protocol.Rebuild(), protocol.Done)
        self._is_new = False
        losses = list[list[float | None]]()
        if segment.start is not None:
            load = protocol.Replay(segment.step, [], str(segment.start), segment.complete)
            self._session.call(load, protocol.Trained)
        for count in calls:  # a request each, so that a long segment is no long silence
            request = protocol.Replay(segment.step + len(losses), [count], None, segment.complete)
            losses += self._session.call(request, protocol.Trained).losses
        return losses

    def save(self, file: Path) -> Path:
        """Write the program's state; raises as :meth:`Session.receive` does."""
        self._session.call(protocol.SaveState(str(file)), protocol.StateSaved)
        return file


def repeated(work: Work, segment: Segment, session: Session, folder: Path) -> Verification:
    """Repeat a segment; if it deviates, repeat it twice more, from weights that are moved by one rounding.

    The distance between these two repetitions is the effect of rounding. Rounding has no effect before the
    update of the last step whose loss is equal bit for bit: a gradient that is nothing but rounding moves a
    weight by a whole step under Adam. So the weights are moved before that step.

    ``session`` has just built its program; files are written to ``folder``.
    """
    by, precision = _Repeater(session, folder), work.plan.precision
    calls = _short_calls(work, segment)
    losses = by.repeat(segment, calls)
    found = compare_losses(segment.losses, losses, precision)
    weights = _EndWeights(work, segment, by)
    ends = weights.compare()
    if found.fault_at is not None or ends.differs:
        equal = max(0, equal_steps(segment.losses, losses) - 1)
        near: list[Losses] = []
        for _ in range(2):
            near.append(_nearby(work, segment, calls, equal, by))
            weights.add_nearby()
        found = compare_losses(segment.losses[equal:], losses[equal:], precision, (near[0], near[1]))
        fault_at = None if found.fault_at is None else equal + found.fault_at
        found = LossComparison(equal + found.compared_steps, found.worst, fault_at)
        ends = weights.compare()
    span = Span(
        first_step=segment.step + 1,
        steps=len(segment.losses),
        calls=len(calls),
        compared_steps=found.compared_steps,
        worst=found.worst,
        whole=segment.end is not None,
        weights_apart=ends.apart,
    )
    if found.fault_at is not None:
        deviation = deviation_of(found.fault_at, segment.losses, losses, segment.step)
        return Verification(outcome="differs", span=span, deviation=deviation)
    if ends.differs:
        return Verification(outcome="differs", span=span)
    if not span.compared_steps:
        return Verification(outcome="not verified", gap="rounding", span=span)
    return Verification(outcome="verified", span=span)


def _nearby(work: Work, segment: Segment, calls: list[int], equal: int, by: _Repeater) -> Losses:
    """Repeat a segment once more, with weights that are moved by one rounding after ``equal`` steps.

    Return the losses after these steps.
    """
    before, after = _split(calls, equal)
    reached, moved = by.folder / "reached.npz", by.folder / "nearby.npz"
    by.repeat(segment.beginning(equal), before)
    by.save(reached)
    save_nearby(reached, moved, budgets.ROUNDING[work.plan.precision].epsilon)
    return by.repeat(segment.after(equal, moved), after)


def _split(calls: list[int], steps: int) -> tuple[list[int], list[int]]:
    """Split calls after this number of steps."""
    before, after = list[int](), list[int]()
    for count in calls:
        first = min(count, steps - sum(before))
        before += [first] * (first > 0)
        after += [count - first] * (count > first)
    return before, after


class _EndWeights:
    """The weights after a segment and after its repetitions, where the former are known."""

    def __init__(self, work: Work, segment: Segment, by: _Repeater) -> None:
        """Take over a segment that was just repeated."""
        self._by = by
        self._check: WeightsCheck | None = None
        self._nearby: list[dict[str, np.ndarray]] = []
        if segment.start is not None and segment.end is not None:
            state = work.plan.task.state()
            before, self._reported = weights_in(segment.start), weights_in(segment.end)
            steps = len(segment.losses)
            self._check = WeightsCheck(before, self._current(), steps, work.plan.precision, state)

    def _current(self) -> dict[str, np.ndarray]:
        return weights_in(self._by.save(self._by.folder / "repeated.npz"))

    def add_nearby(self) -> None:
        """Add a repetition of the segment that started one rounding away."""
        if self._check is not None:
            self._nearby.append(self._current())

    def compare(self) -> WeightsComparison:
        """Measure the distance of the reported weights from the repeated ones."""
        if self._check is None:
            return WeightsComparison(None, differs=False)
        first, second = self._nearby or (None, None)
        nearby = None if first is None or second is None else (first, second)
        return self._check.compare(self._reported, nearby)


def _short_calls(work: Work, segment: Segment) -> list[int]:
    """Draw lengths of calls that make these steps: single steps at first, then random lengths."""
    made, steps = 0, len(segment.losses)
    most = max(3, 2 * -(-steps // budgets.REPEATED_CALLS))
    calls: list[int] = []
    while made < steps:
        wanted = 1 if len(calls) < 2 else _RNG.randint(1, most)  # noqa: PLR2004
        calls.append(min(wanted, work.order.run_length(segment.step + made), steps - made))
        made += calls[-1]
    return calls
