"""The audit of one worker's training, from the build to its end: one interface for runs, duels and gates."""

import contextlib
import dataclasses
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from harness.core.audit import budgets
from harness.core.audit.budgets import AUDIT_SHARE, FIRST_PAIRS
from harness.core.audit.clock import TrainingClock
from harness.core.audit.findings import Clock, Gap, Turns, Verification, Verifier, WorkDiffers
from harness.core.audit.known_order import take_turns
from harness.core.audit.numpy_work import NumpyWork, compare_with_numpy
from harness.core.audit.repetition import Examined, Repeater, repeated
from harness.core.audit.scores import Report, ScoredState
from harness.core.audit.segments import Segments, Work
from harness.core.audit.untimed import Untimed
from harness.core.audit.words import work_fault
from harness.core.certify.certificate import Losses
from harness.core.training.batches import BatchOrder
from harness.core.worker import protocol
from harness.core.worker.session import Conversation, Session
from harness.errors import HarnessError
from harness.spec.data import Split

_RNG = random.SystemRandom()


class Preparation(msgspec.Struct, frozen=True):
    """The seconds that a worker took before its training: import, data, build and first step."""

    import_seconds: float
    data_seconds: float
    build_seconds: float
    first_step_seconds: float

    @property
    def program_seconds(self) -> float:
        """The seconds that another program of the same process takes before it is steady."""
        return self.build_seconds + self.first_step_seconds


class AuditedTraining:
    """A training in a worker, with the readings that prove its time and its work afterwards.

    :meth:`close` deletes the states that it keeps. Every request raises as :meth:`Session.receive`.
    """

    def __init__(
        self,
        session: Session,
        work: Work,
        cpus: Sequence[int],
        device: str,
        *,
        pauses: bool = False,
        judges_times: bool = True,
    ) -> None:
        """Begin with a worker that has just built its program on ``device``.

        With ``pauses`` the worker is stopped after long calls. Unless it ``judges_times``, it proves the work
        alone, and :meth:`judge_clock` must not be called.
        """
        self._session, self._work = session, work
        self._pauses = pauses
        self._cpus, self._on_accelerator = cpus, not device.startswith("cpu")
        self._clock = (
            TrainingClock(session, cpus, on_accelerator=self._on_accelerator) if judges_times else None
        )
        self._training = self._clock or Untimed(session)
        self._segments = Segments(self._training.save_state)
        self._is_settled = True
        self._report: Report | None = None
        self._scored: list[ScoredState] = []
        self._drawn_scored: list[ScoredState] = []
        self._steps = 0

    @property
    def order(self) -> BatchOrder:
        """The order of its samples."""
        return self._work.order

    def shuffle(self, seed: int) -> None:
        """Take the samples in the order of this seed, which the program could not know when it was built."""
        self._session.call(protocol.Shuffle(seed), protocol.Done)
        self._work = self._work._replace(order=dataclasses.replace(self._work.order, seed=seed))

    def train(self, steps: int) -> protocol.Trained:
        """Make the next steps."""
        trained = self._training.train(steps)
        if self._pauses and trained.seconds >= budgets.STOPPED_AFTER_SECONDS:
            self._session.pause()
        self._steps += steps
        self._segments.add(trained)
        self._is_settled, self._report = False, None
        return trained

    def read(self, *, last: bool = False) -> None:
        """Read the state if the pace of readings asks for it, or after the ``last`` step.

        Read it after scores of the same weights, which are compared with it if it is drawn.
        """
        if last:
            self._segments.read_last()
        elif self._segments.is_due:
            if self._segments.read(scored=self._report is not None):
                self._keep_scores(self._drawn_scored, self.last_state)
        else:
            return
        self._is_settled = True

    def evaluate(
        self,
        splits: list[Split],
        samples: int | None = None,
        *,
        epoch: int,
        weights: Literal["present", "last", "restored"] = "present",
        drawn: bool = False,
    ) -> protocol.Evaluated:
        """Score splits once all outstanding updates have been made and their time counts.

        Scores of the ``last`` weights, whose state has been read, and scores of ``restored`` weights, those
        of an earlier epoch, are compared in any case.
        """
        if not self._is_settled:
            self._training.settle()
            self._is_settled = True
        evaluated = self._session.call(protocol.Evaluate(splits, samples, drawn), protocol.Evaluated)
        if self._is_compared:
            self._report = Report(epoch, evaluated.scores, samples)
        if weights == "last":
            self._keep_scores(self._scored, self.last_state)
        elif weights == "restored" and self._is_compared:
            restored = self._segments.folder / "restored.npz"
            self._training.save_state(str(restored))
            self._keep_scores(self._scored, restored)
        return evaluated

    def _keep_scores(self, among: list[ScoredState], state: Path) -> None:
        """Keep the scores of single samples that were reported last; they belong to ``state``."""
        if self._report is not None:
            rows = f"{state.with_suffix('')}-{'-'.join(self._report.scores)}"
            self._session.call(protocol.SaveRows(rows), protocol.Done)
            among.append(ScoredState(self._report, state, rows))

    @property
    def _compared_scores(self) -> list[ScoredState]:
        """The scores to compare: those kept in any case, and those of a few drawn epochs.

        One of these is at the end of a segment that is repeated, which proves that the weights are those of
        the training.
        """
        ends = [segment.end for segment in self._segments.proving if segment.is_scored]
        drawn = [each for each in self._drawn_scored if each.state.exists()]  # or no more
        _RNG.shuffle(drawn)
        drawn.sort(key=lambda each: each.state not in ends)
        return [*drawn[: budgets.SCORED_EPOCHS], *self._scored]

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

    @property
    def _is_compared(self) -> bool:
        """True if the harness's own program repeats the work; it takes too long for rounds of clients."""
        federated = self._work.plan.task.federated is not None
        return self._work.certified and self._work.is_third_party and not federated

    def judge_clock(self, known_step_seconds: float | None = None) -> Clock:
        """Judge the reported times by the sums of both clocks and the CPU time.

        ``known_step_seconds`` is the time of a step of a run, whose order was known beforehand: a few more
        steps are made in another order. If these steps are slower, two new processes repeat the run's
        beginning in both orders, in turn. Do not use the program's weights afterwards.
        """
        clock = self._clock
        assert clock is not None  # noqa: S101  times are judged
        if known_step_seconds is not None:
            clock.compare_new_order(self._work.order, self._steps, known_step_seconds)
            if clock.suspects_known_order:
                with contextlib.suppress(HarnessError, OSError):  # there may be no room for two more
                    clock.add_turns(self._repeated_in_turn(known_step_seconds))
        return clock.judged()

    def _repeated_in_turn(self, step_seconds: float) -> Turns:
        """Repeat the run's beginning in its order and in a new order.

        The first process receives exactly what the run's process received.
        """
        work = self._work
        with work.start({}) as own, work.start({}) as other:
            conversations = [Conversation(each, work.backend, work.plan.threads) for each in (own, other)]
            for conversation in conversations:
                conversation.request_program(work.plan, work.dataset)
            for conversation in conversations:
                conversation.receive_program()
            other.call(protocol.Shuffle(_RNG.getrandbits(31)), protocol.Done)
            known, new = (
                TrainingClock(each, self._cpus, on_accelerator=self._on_accelerator) for each in (own, other)
            )
            return take_turns(known, new, work.order, self._steps, step_seconds)

    def verify(self, prepared: Preparation, budget_seconds: float | None = None) -> Verification:
        """Have a second program repeat parts of the training. Afterwards the worker may hold another program.

        If the second program fails, the work stays unverified. Work of third-party backends is repeated in a
        process of its own, whole segments at a time, however long it takes. Other work is repeated within the
        budget, of which readings of states have taken their part, or for a few steps if none is left; without
        a budget, a whole segment is repeated.
        """
        begun = time.monotonic()
        seconds = max(0.0, (budget_seconds or 0.0) - self._segments.reading_seconds)
        whole = int(budget_seconds is None)
        try:
            if self._work.is_third_party:
                found = self._verified_elsewhere(seconds)
            elif (verifier := self._verifier(prepared, seconds)) == "other process":
                with self._other_process() as session:
                    found, _ = self._repeated(session, verifier, seconds, whole)
            else:
                found, _ = self._repeated(self._session, verifier, seconds, whole)
        except (HarnessError, OSError) as error:  # the states need room on a disk
            found = Verification(outcome="not verified", gap="program failed", detail=str(error))
        found = msgspec.structs.replace(found, seconds=time.monotonic() - begun)
        if found.outcome == "differs":
            raise WorkDiffers(work_fault(found), found)
        return found

    def _verifier(self, prepared: Preparation, budget_seconds: float) -> Verifier:
        """Choose the verifier: a separate process hides most; the same program compiles nothing again."""
        newest = self._segments.newest
        repetition = 0.0 if newest is None else 2 * newest.seconds
        start = prepared.import_seconds + prepared.data_seconds + prepared.program_seconds
        if start + repetition <= budget_seconds:
            return "other process"
        compiles = prepared.first_step_seconds > max(
            budgets.LONGEST_FIRST_STEP_SECONDS, budgets.FIRST_STEP_SHARE * budget_seconds
        )
        is_cheap = prepared.program_seconds <= max(budgets.LONGEST_BUILD_SECONDS, budget_seconds)
        return (
            "second program" if (is_cheap and not compiles) or not self._segments.complete else "same program"
        )

    def _repeated(
        self, session: Session, verifier: Verifier, seconds: float, whole: int
    ) -> tuple[Verification, list[Examined]]:
        if (gap := self._gap) is not None:
            return Verification(outcome="not verified", gap=gap), []
        examined_steps = budgets.NUMPY_LATER_STEPS if self._is_compared else 0
        repeater = Repeater(session, verifier, seconds, whole, examined_steps)
        return repeated(self._work, self._segments, repeater), repeater.examined

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
        with work.start({}) as session:
            own = Conversation(session, work.backend, work.plan.threads)
            own.build(work.plan, work.dataset)
            session.call(protocol.Shuffle(work.order.seed), protocol.Done)
            yield session

    def _verified_elsewhere(self, seconds: float) -> Verification:
        """Repeat in a process of its own, and compare certified work with the harness's own program.

        Both processes start and work at the same time.
        """
        end = time.monotonic() + seconds
        with contextlib.ExitStack() as processes:
            numpy = None
            if self._is_compared:
                compared = NumpyWork(self._work, self._segments, self._compared_scores)
                numpy = processes.enter_context(compared)
            session = processes.enter_context(self._other_process())
            left = max(budgets.LEAST_REPETITION_SECONDS, end - time.monotonic())
            proving = max(1, len(self._segments.proving))
            found, examined = self._repeated(session, "other process", left, proving)
            if numpy is not None and found.outcome != "differs":
                independent = compare_with_numpy(numpy, examined, self._segments.proving)
                outcome = "differs" if independent.differs else found.outcome
                found = msgspec.structs.replace(found, outcome=outcome, independent=independent)
        return found

    def close(self) -> None:
        """Delete the saved states."""
        self._segments.close()


class PairAudit:
    """The choice of a duel's processes to verify, within a share of its time.

    Each workload is verified in one of its first pairs; then, if there is time, workloads take turns.
    """

    def __init__(self, pairs: int = FIRST_PAIRS) -> None:
        """Prepare for ``pairs`` pairs or more."""
        self._drawn_from = min(FIRST_PAIRS, pairs)
        self._first: dict[int, int] = {}
        self._times: dict[int, int] = {}
        self._pairs = 0
        self._seconds = self._verified_seconds = 0.0

    def chosen(self, order: Sequence[int]) -> set[int]:
        """Return the workloads, given in random order, whose processes are verified in this pair."""
        unverified = {index for index in order if not self._times.get(index)}
        for index in unverified:
            self._first.setdefault(index, _RNG.randrange(self._drawn_from))
        if unverified or self._verified_seconds > AUDIT_SHARE * self._seconds:
            return {index for index in unverified if self._first[index] <= self._pairs}
        return {min(order, key=lambda index: self._times[index])}

    def add(self, verified_seconds: Sequence[float | None], seconds: float) -> None:
        """Add a pair that took ``seconds``, and the verification of each workload; None: not verified."""
        self._pairs += 1
        self._seconds += seconds
        for index, taken in enumerate(verified_seconds):
            if taken is not None:
                self._times[index] = self._times.get(index, 0) + 1
                self._verified_seconds += taken
