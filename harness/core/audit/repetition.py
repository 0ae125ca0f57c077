"""Segments of a training, repeated by a second program and compared with what was reported."""

import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.core.audit import budgets
from harness.core.audit.comparison import WeightsCheck, WeightsComparison, compare_losses, deviation_of
from harness.core.audit.findings import Deviation, Span, Verification, Verifier
from harness.core.audit.segments import Segment, Segments, Work
from harness.core.certify.certificate import Losses
from harness.core.worker import protocol
from harness.core.worker.saved_state import save_nearby, weights_in
from harness.core.worker.session import Session

_RNG = random.SystemRandom()
_INITIAL_STATE = "initial.npz"


class Repeater:
    """The worker in which segments are repeated, by which of its programs, and for how long."""

    def __init__(self, session: Session, verifier: Verifier, seconds: float, whole: int) -> None:
        """``other process``: a program was just built in it.

        Segments are repeated for these ``seconds``; so many of them in any case, from end to end, and
        otherwise the beginning of one.
        """
        self._session = session
        self.verifier = verifier
        self._whole = whole
        self._end = time.monotonic() + seconds
        self._is_new = verifier == "other process"
        self._slowdown = budgets.SHORT_CALLS
        if verifier == "second program":
            self._rebuild()

    def _rebuild(self) -> None:
        self._session.call(protocol.Rebuild(), protocol.Done)
        self._is_new = True

    def parts(self, segments: Sequence[Segment]) -> Iterator[Segment]:
        """Select the segments that time allows, or their beginnings."""
        for number, segment in enumerate(segments):
            steps = len(segment.losses)
            step_seconds = self._slowdown * segment.seconds / steps
            possible = int((self._end - time.monotonic()) / max(step_seconds, 1e-9))
            if number < self._whole or steps <= possible:
                yield segment
            elif number == 0 or possible >= budgets.FEWEST_STEPS:
                yield segment.beginning(max(possible, budgets.FEWEST_STEPS))

    def repeat(self, segment: Segment, calls: list[int]) -> Losses:
        """Repeat a segment's steps in these calls; return their losses; raises as :meth:`Session.receive`."""
        if segment.needs_new_program and not self._is_new:
            self._rebuild()
        self._is_new = False
        path = None if segment.start is None else str(segment.start)
        start, losses = time.monotonic(), list[list[float | None]]()
        for count in calls:  # a request each, so that a long segment is no long silence
            request = protocol.Replay(segment.step + len(losses), [count], path, segment.complete)
            losses += self._session.call(request, protocol.Trained).losses
            path = None
        self._slowdown = max(self._slowdown, (time.monotonic() - start) / max(segment.seconds, 1e-9))
        return losses

    def save(self, file: Path) -> Path:
        """Write the program's state; raises as :meth:`Session.receive` does."""
        self._session.call(protocol.SaveState(str(file)), protocol.StateSaved)
        return file

    def start_of(self, segment: Segment, folder: Path) -> Path:
        """Return the file of the state before a segment, also of one that begins with a new program."""
        if segment.start is not None:
            return segment.start
        if not self._is_new:
            self._rebuild()
        return self.save(folder / _INITIAL_STATE)


class _Repeated(NamedTuple):
    """A segment that has been repeated; ``differs`` if what was reported is not what it computes."""

    span: Span
    differs: bool
    deviation: Deviation | None = None


def repeated(work: Work, segments: Segments, by: Repeater) -> Verification:
    """Repeat segments of a training in the order in which they were drawn.

    It is the last thing that is asked of the program.
    """
    candidates = segments.draw(needs_state=work.needs_state)
    if by.verifier == "same program":  # which is no new program any more
        candidates = [segment for segment in candidates if segment.start is not None]
    spans: list[Span] = []
    differs, deviation = False, None
    for part in by.parts(candidates):
        span, differs, deviation = _repeat(work, part, by, segments.folder)
        spans.append(span)
        if differs:
            break
    compared = sum(span.compared_steps for span in spans)
    return Verification(
        outcome="differs" if differs else "verified" if compared else "not verified",
        gap=None if compared or differs else "rounding" if spans else "too short",
        verifier=by.verifier,
        spans=spans,
        segments=segments.count,
        draws=sum(span.whole for span in spans[:1]),
        deviation=deviation,
    )


def _repeat(work: Work, segment: Segment, by: Repeater, folder: Path) -> _Repeated:
    """Repeat a segment, and where it deviates twice more, from weights that are moved by one rounding.

    How far these two part is what rounding can do. A program that cheats in all that it repeats later, by its
    own count, does so in both.
    """
    precision, steps = work.plan.precision, len(segment.losses)
    calls = _short_calls(work, segment)
    losses = by.repeat(segment, calls)
    found = compare_losses(segment.losses, losses, precision)
    weights = _EndWeights(work, segment, by, folder)
    ends = weights.compare()
    if found.fault_at is not None or ends.differs:
        moved = folder / "nearby.npz"
        near: list[Losses] = []
        for _ in range(2):
            save_nearby(by.start_of(segment, folder), moved, budgets.ROUNDING[precision].epsilon)
            near.append(by.repeat(segment.starting_from(moved), calls))
            weights.add_nearby()
        found = compare_losses(segment.losses, losses, precision, (near[0], near[1]))
        ends = weights.compare()
    span = Span(
        first_step=segment.step + 1,
        steps=steps,
        calls=len(calls),
        compared_steps=found.compared_steps,
        worst=found.worst,
        whole=segment.end is not None,
        weights_apart=ends.apart,
    )
    if found.fault_at is None:
        return _Repeated(span, ends.differs)
    return _Repeated(
        span, differs=True, deviation=deviation_of(found.fault_at, segment.losses, losses, segment.step)
    )


class _EndWeights:
    """The weights after a segment and after its repetitions, where the former are known."""

    def __init__(self, work: Work, segment: Segment, by: Repeater, folder: Path) -> None:
        """Take over a segment that has just been repeated."""
        self._by, self._folder = by, folder
        self._check: WeightsCheck | None = None
        self._nearby: list[dict[str, np.ndarray]] = []
        if segment.start is not None and segment.end is not None:
            state = work.plan.task.state()
            before, self._reported = weights_in(segment.start), weights_in(segment.end)
            steps = len(segment.losses)
            self._check = WeightsCheck(before, self._current(), steps, work.plan.precision, state)

    def _current(self) -> dict[str, np.ndarray]:
        return weights_in(self._by.save(self._folder / "repeated.npz"))

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
    """Lengths of calls that make these steps: single ones at first, then lengths drawn at random."""
    step, steps = segment.step, len(segment.losses)
    most = max(3, 2 * -(-steps // budgets.REPEATED_CALLS))
    calls: list[int] = []
    end = step + steps
    while step < end:
        wanted = 1 if len(calls) < 2 else _RNG.randint(1, most)  # noqa: PLR2004
        calls.append(min(wanted, work.order.run_length(step), end - step))
        step += calls[-1]
    return calls
