"""Recomputing sampled work of a training in a second program, and saying whether it was the same."""

import random
import time
from pathlib import Path

import msgspec
import numpy as np

from harness.errors import HarnessError
from harness.spec.task import Sgd, Task
from harness.testing.displacement import MOST_APART, Weights, share_apart
from harness.testing.dropout import uses_dropout
from harness.testing.independent_work import Deviation
from harness.testing.losses import Losses
from harness.testing.replay import (
    Gap,
    Span,
    Verification,
    Verifier,
    compare_replay,
    deviation_at,
    outcome_of,
)
from harness.training.batches import BatchOrder
from harness.worker import protocol
from harness.worker.conversation import Conversation
from harness.worker.errors import WorkDiffers
from harness.worker.independent import Start, compare_with_numpy
from harness.worker.sampled_work import SampledWork
from harness.worker.saved_state import weights_in
from harness.worker.session import Session
from harness.worker.work_sampler import WorkSample

_CHANCE = random.SystemRandom()
#: About how many calls a replay makes, and of how many steps at least: a call has a fixed cost.
_CALLS = 24
#: How much longer than the timed work short calls take.
_SHORT_CALLS = 1.3
#: A process of its own is started for no less than this time of further samples.
_LEAST_SECONDS = 1.0
#: Ends of two replays of the same steps may be so far apart, as a share of the way, to count as equal.
_REPLAYS_APART = 0.05


def needs_state(task: Task) -> bool:
    """Whether a training step depends on more than the weights and its batch."""
    optimizer = task.optimizer
    return uses_dropout(task) or not (isinstance(optimizer, Sgd) and not optimizer.momentum)


class Recomputer:
    """The worker in which samples are recomputed, by which of its programs, and for how long."""

    def __init__(self, session: Session, verifier: Verifier, seconds: float) -> None:
        """``other process``: a program was just built in it. No sample begins after ``seconds``."""
        self._session = session
        self.verifier = verifier
        self._end = time.monotonic() + seconds
        self._is_new = verifier == "other process"
        self._has_second = verifier != "second program"

    def has_time_for(self, sample: WorkSample) -> bool:
        """Whether there is time for another sample."""
        return time.monotonic() + _SHORT_CALLS * sample.seconds <= self._end

    def replay(self, sample: WorkSample, calls: list[int]) -> Losses:
        """The losses of a sample's steps in these calls; raises as :meth:`Session.receive` does."""
        if not self._has_second or (sample.path is None and not self._is_new):
            self._session.call(protocol.Rebuild(), protocol.Done)
            self._has_second = True
        self._is_new = False
        path = None if sample.path is None else str(sample.path)
        request = protocol.Replay(sample.step, calls, path, sample.complete)
        return self._session.call(request, protocol.Replayed).losses

    def weights(self, file: Path) -> dict[str, np.ndarray]:
        """The program's weights, by way of a file; raises as :meth:`Session.receive` does."""
        self._session.call(protocol.SaveState(str(file)), protocol.StateSaved)
        return weights_in(file)


def verify(work: SampledWork, by: Recomputer) -> Verification:
    """Recompute samples of the work, in random order.

    It is the last thing that is asked of the program. A second program that fails is no fault of the work,
    which stays unverified.

    Raises:
        WorkDiffers: the recomputed losses are not those that were reported, twice.
    """
    begun = time.monotonic()
    return _timed(_verified(work, by), begun)


def verify_elsewhere(work: SampledWork, start: Start, seconds: float) -> Verification:
    """As :func:`verify`, by a program in a process of its own, which ``start`` starts.

    No other sample begins after these ``seconds``, or a second after the program was built. The work of a
    certified backend is also compared with that of the harness's own program, where this covers the task.
    """
    begun = time.monotonic()
    try:
        with start({}) as session:
            Conversation(session, work.backend, work.plan.threads).build(work.plan, work.dataset)
            session.call(protocol.Shuffle(work.order.seed), protocol.Done)
            left = max(_LEAST_SECONDS, seconds - (time.monotonic() - begun))
            found = _verified(work, Recomputer(session, "other process", left))
            if work.certified and found.outcome != "differs":
                independent = compare_with_numpy(work, session, start)
                outcome = "differs" if independent.differs else found.outcome
                found = msgspec.structs.replace(found, outcome=outcome, independent=independent)
    except HarnessError as error:
        found = _failed(error)
    return _timed(found, begun)


def _timed(found: Verification, begun: float) -> Verification:
    """The outcome with what it took; raises :class:`WorkDiffers` if it is one."""
    found = msgspec.structs.replace(found, seconds=time.monotonic() - begun)
    if found.outcome == "differs":
        raise WorkDiffers(found)
    return found


def _failed(error: HarnessError) -> Verification:
    return Verification(outcome="not verified", gap="program failed", detail=str(error))


def _verified(work: SampledWork, by: Recomputer) -> Verification:
    sampler, task = work.sampler, work.plan.task
    candidates = sampler.candidates(needs_state=needs_state(task))
    if uses_dropout(task) and not sampler.complete:
        # What a program drops may depend on its calls, so a beginning cannot be repeated either.
        return _unverified("too short" if sampler.complete is None else "no training state")
    if by.verifier == "same program":  # which is no new program any more
        candidates = [sample for sample in candidates if sample.path is not None]
    if not candidates:
        return _unverified("too short")
    try:
        return _compared(candidates, work, by)
    except HarnessError as error:
        return _failed(error)


def _unverified(gap: Gap) -> Verification:
    return Verification(outcome="not verified", gap=gap)


def _compared(candidates: list[WorkSample], work: SampledWork, by: Recomputer) -> Verification:
    precision = work.plan.precision
    spans: list[Span] = []
    for sample in candidates:
        if spans and not by.has_time_for(sample):
            continue
        repeated = _Repetition(sample, work, by)
        spans.append(repeated.span)
        if not repeated.is_suspicious:
            continue
        differs = repeated.differs_again()
        return msgspec.structs.replace(
            outcome_of(spans, by.verifier, precision),
            outcome="differs" if differs else "not verified",
            gap=None if differs else "not repeatable",
            deviation=repeated.deviation,
        )
    return outcome_of(spans, by.verifier, precision)


class _Repetition:
    """The recomputed losses of a sample, and the weights after it."""

    def __init__(self, sample: WorkSample, work: SampledWork, by: Recomputer) -> None:
        self._sample, self._work, self._by = sample, work, by
        self._calls = _short_calls(work.order, sample.step, len(sample.losses))
        self._recomputed = by.replay(sample, self._calls)
        self._found = compare_replay(sample.losses, self._recomputed, work.plan.precision)
        self._weights: Weights | None = None
        self.span = Span(
            sample.step + 1,
            len(sample.losses),
            len(self._calls),
            self._found.compared_steps,
            self._found.worst,
            self._apart(),
        )

    def _apart(self) -> float | None:
        """How far the weights after the sample are from those after the latest replay."""
        sample, folder = self._sample, self._work.sampler.folder
        if sample.path is None or sample.after is None:
            return None
        self._weights = self._by.weights(folder / "recomputed.npz")
        before, after, precision = (
            weights_in(sample.path),
            weights_in(sample.after),
            self._work.plan.precision,
        )
        return share_apart(before, after, self._weights, len(sample.losses), precision)

    @property
    def is_suspicious(self) -> bool:
        """Whether it is not what was reported, as far as one replay can say."""
        return self._found.fault_at is not None or self._has_moved_elsewhere(self.span.weights_apart)

    def _has_moved_elsewhere(self, apart: float | None) -> bool:
        return apart is not None and apart > MOST_APART and self._found.explains_little

    def differs_again(self) -> bool:
        """Whether another replay is not what was reported either.

        Of losses neither is within rounding, whether or not the replays agree with each other: calls of other
        lengths would differ if they depend on them, so their lengths are the same. Weights count only where
        the replays agree, else each goes its own way from rounding on.
        """
        sample, first = self._sample, self._weights
        again = self._by.replay(sample, self._calls)
        if self._found.fault_at is not None:
            return compare_replay(sample.losses, again, self._work.plan.precision).fault_at is not None
        apart = self._apart()
        if sample.path is None or first is None or self._weights is None:
            return False
        precision, steps = self._work.plan.precision, len(sample.losses)
        alike = share_apart(weights_in(sample.path), first, self._weights, steps, precision)
        return self._has_moved_elsewhere(apart) and alike is not None and alike < _REPLAYS_APART

    @property
    def deviation(self) -> Deviation | None:
        """The loss that is at fault; None if the weights are."""
        if self._found.fault_at is None:
            return None
        return deviation_at(self.span, self._sample.losses, self._recomputed)


def _short_calls(order: BatchOrder, step: int, steps: int) -> list[int]:
    """Lengths of calls that make these steps: single ones at first, then lengths drawn at random."""
    most = max(3, 2 * -(-steps // _CALLS))
    calls: list[int] = []
    end = step + steps
    while step < end:
        wanted = 1 if len(calls) < 2 else _CHANCE.randint(1, most)  # noqa: PLR2004
        calls.append(min(wanted, order.run_length(step), end - step))
        step += calls[-1]
    return calls
