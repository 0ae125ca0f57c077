"""Segments of a training, repeated by a second program and compared with what was reported."""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

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
from harness.core.audit.findings import Deviation, Span, Verification, Verifier
from harness.core.audit.segments import Segment, Segments, Work
from harness.core.certify.certificate import Losses
from harness.core.worker import protocol
from harness.core.worker.saved_state import save_nearby, weights_in
from harness.core.worker.session import Session
from harness.spec.backend import Precision

_RNG = random.SystemRandom()


_NO_STATES: Mapping[int, Path] = {}


class Examined(NamedTuple):
    """Consecutive steps of a repetition from ``step`` on, counted from 0, with the files of its states.

    There is a state before each step and one after the last.
    """

    step: int
    losses: Losses
    states: list[Path]


class Repeater:
    """The worker in which segments are repeated, by which of its programs, and for how long."""

    def __init__(
        self, session: Session, verifier: Verifier, seconds: float, whole: int, examined_steps: int = 0
    ) -> None:
        """Prepare repetitions by ``session``.

        For the verifier ``other process``, a program was just built in it.

        Segments are repeated for these ``seconds``. ``whole`` segments are repeated from end to end in any
        case, and the states around ``examined_steps`` of their steps are kept; of other segments only the
        beginning may be repeated.
        """
        self._session = session
        self.verifier = verifier
        self.whole, self.examined_steps = whole, examined_steps
        self.examined: list[Examined] = []
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
            if number < self.whole or steps <= possible:
                yield segment
            elif number == 0 or possible >= budgets.FEWEST_STEPS:
                yield segment.beginning(max(possible, budgets.FEWEST_STEPS))

    def repeat(
        self, segment: Segment, calls: Sequence[int], states: Mapping[int, Path] = _NO_STATES
    ) -> Losses:
        """Repeat a segment's steps in these calls; return their losses; raises as :meth:`Session.receive`.

        The state after each number of steps in ``states`` is written to its file.
        """
        if segment.needs_new_program and not self._is_new:
            self._rebuild()
        self._is_new = False
        start, losses = time.monotonic(), list[list[float | None]]()
        if segment.start is not None:
            load = protocol.Replay(segment.step, [], str(segment.start), segment.complete)
            self._session.call(load, protocol.Trained)
        for count in (*calls, 0):  # a request each, so that a long segment is no long silence
            if len(losses) in states:
                self.save(states[len(losses)])
            if count:
                request = protocol.Replay(segment.step + len(losses), [count], None, segment.complete)
                losses += self._session.call(request, protocol.Trained).losses
        if len(losses) >= budgets.FEWEST_STEPS:  # in fewer most of the time is that of messages
            slowdown = (time.monotonic() - start) / max(segment.seconds, 1e-9)
            self._slowdown = max(self._slowdown, slowdown)
        return losses

    def save(self, file: Path) -> Path:
        """Write the program's state; raises as :meth:`Session.receive` does."""
        self._session.call(protocol.SaveState(str(file)), protocol.StateSaved)
        return file


class _Repeated(NamedTuple):
    """A segment that has been repeated; ``differs`` if what was reported is not what it computes."""

    span: Span
    differs: bool
    deviation: Deviation | None = None


def repeated(work: Work, segments: Segments, by: Repeater) -> Verification:
    """Repeat segments of a training in the order in which they were drawn.

    No further requests may follow: the program has trained further.
    """
    candidates = segments.draw(needs_state=work.needs_state)
    if by.verifier == "same program":  # which is no new program any more
        candidates = [segment for segment in candidates if segment.start is not None]
    spans: list[Span] = []
    differs, deviation = False, None
    for part in by.parts(candidates):
        span, differs, deviation = repeat(work, part, by, segments.folder)
        spans.append(span)
        if differs:
            break
    # Others choose how their programs round: what cannot be compared to its end is not verified.
    needed = [span.compared_steps == span.steps or not work.is_third_party for span in spans[: by.whole]]
    is_verified = all(needed) and any(span.compared_steps for span in spans)
    return Verification(
        outcome="differs" if differs else "verified" if is_verified else "not verified",
        gap=None if is_verified or differs else "rounding" if spans else "too short",
        verifier=by.verifier,
        spans=spans,
        segments=segments.count,
        draws=sum(span.whole and span.compared_steps == span.steps for span in spans[:1]),
        deviation=deviation,
    )


def repeat(work: Work, segment: Segment, by: Repeater, folder: Path) -> _Repeated:
    """Repeat a segment; if it deviates, repeat it twice more, from weights that are moved by one rounding.

    The distance between these two repetitions is the effect of rounding. Rounding has no effect before the
    update of the last step whose loss is equal bit for bit: a gradient that is nothing but rounding moves a
    weight by a whole step under Adam. So the weights are moved before that step. A program that, by its own
    count, cheats in everything that it repeats later cheats in both repetitions.
    """
    precision, steps = work.plan.precision, len(segment.losses)
    count = min(steps, by.examined_steps) if len(by.examined) < by.whole else 0
    place = _RNG.randint(0, steps - count)
    calls = _short_calls(work, segment, range(place, place + count))
    around = range(place, place + count + 1) if count else range(0)
    states = {index: folder / f"examined-{segment.step + index}.npz" for index in around}
    losses = by.repeat(segment, calls, states)
    if states:
        examined = Examined(segment.step + place, losses[place : place + count], [*states.values()])
        by.examined.append(examined)
    found = compare_losses(segment.losses, losses, precision)
    weights = _EndWeights(work, segment, by, folder)
    ends = weights.compare()
    if found.fault_at is not None or ends.differs:
        equal = max(0, equal_steps(segment.losses, losses) - 1)
        near: list[Losses] = []
        for _ in range(2):
            near.append(_nearby(segment, calls, equal, by, folder, precision))
            weights.add_nearby()
        found = compare_losses(segment.losses[equal:], losses[equal:], precision, (near[0], near[1]))
        fault_at = None if found.fault_at is None else equal + found.fault_at
        found = LossComparison(equal + found.compared_steps, found.worst, fault_at)
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


def _nearby(
    segment: Segment, calls: list[int], equal: int, by: Repeater, folder: Path, precision: Precision
) -> Losses:
    """Repeat a segment once more, with weights that are moved by one rounding after ``equal`` steps.

    Return the losses after these steps.
    """
    before, after = _split(calls, equal)
    reached, moved = folder / "reached.npz", folder / "nearby.npz"
    by.repeat(segment.beginning(equal), before, {equal: reached})
    save_nearby(reached, moved, budgets.ROUNDING[precision].epsilon)
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

    def __init__(self, work: Work, segment: Segment, by: Repeater, folder: Path) -> None:
        """Take over a segment that was just repeated."""
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


def _short_calls(work: Work, segment: Segment, examined: range) -> list[int]:
    """Draw lengths of calls that make these steps: single steps at first, then random lengths."""
    made, steps = 0, len(segment.losses)
    most = max(3, 2 * -(-steps // budgets.REPEATED_CALLS))
    calls: list[int] = []
    while made < steps:
        wanted = 1 if len(calls) < 2 or made in examined else _RNG.randint(1, most)  # noqa: PLR2004
        end = examined.start if made < examined.start else steps
        calls.append(min(wanted, work.order.run_length(segment.step + made), end - made))
        made += calls[-1]
    return calls
