"""The audit of one worker's training: one interface for runs, duels and gates."""

import contextlib
import math
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness.core.audit import budgets
from harness.core.audit.findings import Gap, Verification, WorkDiffers
from harness.core.audit.repetition import repeated
from harness.core.audit.segments import Segments, Work
from harness.core.audit.words import work_fault
from harness.core.certify.certificate import Losses
from harness.core.training.batches import BatchOrder
from harness.core.worker import protocol
from harness.core.worker.session import Conversation, Session
from harness.errors import HarnessError

#: A record's blocks last some time, however coarse the worker's clock is.
_LEAST_SECONDS = 1e-9


class AuditedTraining:
    """A training in a worker, with readings of its state, of which a part can be repeated afterwards.

    :meth:`close` deletes the states that it keeps. Every request raises as :meth:`Session.receive`.
    """

    def __init__(self, session: Session, work: Work) -> None:
        """Begin with a worker that has just built its program."""
        self._session, self._work = session, work
        self._segments = Segments(self._save_state)

    @property
    def order(self) -> BatchOrder:
        """The order of its samples."""
        return self._work.order

    def train(self, steps: int) -> protocol.Trained:
        """Make the next steps."""
        trained = self._session.call(protocol.Train(steps), protocol.Trained)
        trained = msgspec.structs.replace(trained, seconds=max(trained.seconds, _LEAST_SECONDS))
        self._segments.add(trained)
        return trained

    def read(self, *, last: bool = False) -> None:
        """Read the state if the pace of readings asks for it, or after the ``last`` step."""
        if last:
            self._segments.read_last()
        elif self._segments.is_due:
            self._segments.read()

    def _save_state(self, path: str) -> tuple[bool, float]:
        """Have the state written to a file; return whether it is complete, and the seconds that this took."""
        start = time.monotonic()
        saved = self._session.call(protocol.SaveState(path), protocol.StateSaved)
        return saved.complete, time.monotonic() - start

    @property
    def last_state(self) -> Path:
        """The file with the state after the last step, once it has been read; deleted by :meth:`close`."""
        path = self._segments.last_state
        assert path is not None  # noqa: S101  read() with last=True came first
        return path

    @property
    def first_losses(self) -> Losses:
        """The losses of the first steps."""
        return self._segments.first_losses

    def verify(self, budget_seconds: float = math.inf) -> Verification:
        """Have a program in a new process repeat a drawn segment of the training.

        Only as much of its beginning is repeated as the budget allows, but at least for
        :data:`budgets.LEAST_REPETITION_SECONDS`. If the second program fails, the work stays unverified.
        Raises WorkDiffers if it is not the same.
        """
        begun = time.monotonic()
        try:
            found = self._verified(max(budgets.LEAST_REPETITION_SECONDS, budget_seconds))
        except (HarnessError, OSError) as error:  # the states need room on a disk
            found = Verification(outcome="not verified", gap="program failed", detail=str(error))
        found = msgspec.structs.replace(found, seconds=time.monotonic() - begun)
        if found.outcome == "differs":
            raise WorkDiffers(work_fault(found), found)
        return found

    def _verified(self, seconds: float) -> Verification:
        segment = self._segments.to_repeat(needs_state=self._work.needs_state)
        gap = "too short" if segment is None else self._gap
        if segment is None or gap is not None:
            return Verification(outcome="not verified", gap=gap)
        with self._other_process() as session:
            found = repeated(self._work, segment.within(seconds), session, self._segments.folder)
        return msgspec.structs.replace(found, segments=self._segments.count)

    @property
    def _gap(self) -> Gap | None:
        """The reason why nothing can be repeated, if so: dropout may depend on calls, even at the start."""
        if self._segments.complete or not self._work.uses_dropout:
            return None
        return "too short" if self._segments.complete is None else "no training state"

    @contextlib.contextmanager
    def _other_process(self) -> Iterator[Session]:
        """Start a process with a program like that of the training, on the same samples in the same order."""
        work = self._work
        with work.start() as session:
            own = Conversation(session, work.backend, work.plan.threads)
            own.build(work.plan, work.dataset)
            yield session

    def close(self) -> None:
        """Delete the saved states."""
        self._segments.close()
