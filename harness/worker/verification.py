"""Recomputing sampled work of a training in a second program, and saying whether it was the same."""

import random
import time

import msgspec

from harness.errors import HarnessError
from harness.spec.backend import Plan
from harness.spec.task import Sgd, Task
from harness.testing.dropout import uses_dropout
from harness.testing.observation import Losses
from harness.testing.replay import Gap, Span, Verification, Verifier, compare_replay, verification
from harness.training.batches import BatchOrder
from harness.worker import protocol
from harness.worker.errors import WorkDiffers
from harness.worker.session import Session
from harness.worker.work_sampler import WorkSample, WorkSampler

_CHANCE = random.SystemRandom()
#: About how many calls a replay makes, and of how many steps at least: a call has a fixed cost.
_CALLS = 24


def needs_state(task: Task) -> bool:
    """Whether a training step depends on more than the weights and its batch."""
    optimizer = task.optimizer
    return uses_dropout(task) or not (isinstance(optimizer, Sgd) and not optimizer.momentum)


class Recomputer:
    """The worker in which a sample is recomputed, and by which of its programs."""

    def __init__(self, session: Session, verifier: Verifier) -> None:
        """``other process``: a program has just been built in it."""
        self._session = session
        self.verifier = verifier
        self._is_new = verifier == "other process"

    def replay(self, request: protocol.Replay) -> Losses:
        """Losses by a new program, or by the same one; raises as :meth:`Session.receive`."""
        if not self._is_new and self.verifier != "same program":
            self._session.call(protocol.Rebuild(), protocol.Done)
        self._is_new = False
        return self._session.call(request, protocol.Replayed).losses


def verify(sampler: WorkSampler, plan: Plan, order: BatchOrder, by: Recomputer) -> Verification:
    """Recompute a sample of the work, drawn at random.

    It is the last thing that is asked of the program. A second program that fails is no fault of the work,
    which stays unverified.

    Raises:
        WorkDiffers: the recomputed losses are not those that were reported, twice in the same way.
    """
    start = time.monotonic()
    found = _verified(sampler, plan, order, by)
    found = msgspec.structs.replace(found, seconds=time.monotonic() - start)
    if found.outcome == "differs":
        raise WorkDiffers(found)
    return found


def _verified(sampler: WorkSampler, plan: Plan, order: BatchOrder, by: Recomputer) -> Verification:
    needed = needs_state(plan.task)
    candidates = sampler.candidates(needs_state=needed)
    if by.verifier == "same program":  # which is no new program any more
        candidates = [sample for sample in candidates if sample.path is not None]
    if not candidates:
        return _unverified("too short")
    sample, *_ = candidates
    if sample.path is None and uses_dropout(plan.task) and not sampler.complete:
        # How it draws what it drops may depend on the calls.
        return _unverified("too short" if sampler.complete is None else "no training state")
    try:
        return _compared(sample, plan, order, by)
    except HarnessError as error:
        return msgspec.structs.replace(_unverified("program failed"), detail=str(error))


def _unverified(gap: Gap) -> Verification:
    return Verification(outcome="not verified", gap=gap)


def _compared(sample: WorkSample, plan: Plan, order: BatchOrder, by: Recomputer) -> Verification:
    recomputed, calls = _replayed(sample, order, by)
    span = Span(sample.step + 1, len(sample.losses), calls)
    found = verification(span, sample.losses, recomputed, plan.precision, by.verifier)
    if found.outcome != "differs":
        return found
    again, _ = _replayed(sample, order, by)
    if compare_replay(recomputed, again, plan.precision).fault_at is not None:
        return msgspec.structs.replace(found, outcome="not verified", gap="not repeatable")
    return found


def _replayed(sample: WorkSample, order: BatchOrder, by: Recomputer) -> tuple[Losses, int]:
    """The losses of a sample's steps, made in short calls, and the number of these."""
    calls = _short_calls(order, sample.step, len(sample.losses))
    path = None if sample.path is None else str(sample.path)
    request = protocol.Replay(sample.step, calls, path, sample.complete)
    return by.replay(request), len(calls)


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
