"""Recomputing sampled work of a training in a second program, and saying whether it was the same."""

import contextlib
import time

import msgspec

from harness.errors import HarnessError
from harness.spec.task import Sgd, Task
from harness.testing.dropout import uses_dropout
from harness.testing.independent_work import Independent
from harness.testing.replay import (
    Gap,
    Span,
    Verification,
    outcome_of,
)
from harness.worker import protocol
from harness.worker.conversation import Conversation
from harness.worker.errors import WorkDiffers
from harness.worker.independent import NumpyWork, Start, compare_with_numpy
from harness.worker.repetition import Recomputer, Repetition
from harness.worker.sampled_work import SampledWork
from harness.worker.work_sampler import WorkSample

#: A process of its own is started for no less than this time of further samples.
_LEAST_SECONDS = 1.0


def needs_state(task: Task) -> bool:
    """Whether a training step depends on more than the weights and its batch."""
    optimizer = task.optimizer
    return uses_dropout(task) or not (isinstance(optimizer, Sgd) and not optimizer.momentum)


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
        with contextlib.ExitStack() as processes:
            session = processes.enter_context(start({}))
            own = Conversation(session, work.backend, work.plan.threads)
            own.request_program(work.plan, work.dataset)
            # Both processes start and build at the same time.
            is_covered = work.certified and not uses_dropout(work.plan.task)
            numpy = processes.enter_context(NumpyWork(work, start)) if is_covered else None
            own.receive_program()
            session.call(protocol.Shuffle(work.order.seed), protocol.Done)
            left = max(_LEAST_SECONDS, seconds - (time.monotonic() - begun))
            found = _verified(work, Recomputer(session, "other process", left))
            if work.certified and found.outcome != "differs":
                independent = Independent(gap="dropout")
                if numpy is not None:
                    independent = compare_with_numpy(numpy, work, session)
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
    by.prepare()
    for sample in candidates:
        part = by.affordable(sample, sum(span.steps for span in spans))
        if part is None:
            continue
        repeated = Repetition(part, work, by)
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
