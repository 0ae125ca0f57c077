"""The training of one run: requests to the worker in their order, each reply written into the record."""

import contextlib
import datetime
import math
import statistics
from typing import Protocol

from harness.machine.interference import Watch
from harness.runs.clock import RunClock
from harness.runs.record import Block, Epoch, Record
from harness.runs.request import RunRequest
from harness.runs.store import RecordWriter
from harness.runs.work import RunWork
from harness.training.batches import BatchOrder
from harness.training.blocks import block_steps
from harness.training.measures import Scores
from harness.training.outcome_records import Drawn
from harness.worker import protocol
from harness.worker.conversation import Conversation
from harness.worker.session import Session
from harness.worker.work_sampler import WorkSampler


class Observer(Protocol):
    """Watches the progress of a run. It is called between blocks of steps: what it does is never timed."""

    def started(self, record: Record) -> None:
        """The framework is imported and the networks are built: the record describes what will be trained."""

    def phase(self, name: str) -> None:
        """A phase other than training begins."""

    def trained(self, step: int, total_steps: int, epoch: int, loss: float, step_seconds: float) -> None:
        """A block has ended; ``step`` of ``total_steps`` steps are done."""

    def scored(self, epoch: Epoch) -> None:
        """An epoch has been scored."""


class Diverged(Exception):
    """A loss is no longer finite."""


class TrainingRun:
    """Trains and scores in a worker, and writes the results into the record."""

    def __init__(
        self, request: RunRequest, record: Record, session: Session, store: RecordWriter, observer: Observer
    ) -> None:
        self._request = request
        self._record = record
        self._session = session
        self._store = store
        self._observer = observer
        self._step = 0
        self._step_seconds = 0.0
        self._best_loss = math.inf

    def carry_out(self) -> None:
        """Import, build, train and score.

        Raises:
            Diverged: a loss is not finite; the record holds everything before it.
            DishonestClock: the times cannot be trusted.
            WorkDiffers: the work was not what a second program computes.
        """
        order = self._start()
        watch = Watch(self._session.process.pid)
        with contextlib.closing(WorkSampler(self._session)) as sampler:
            clock = RunClock(self._session, order, self._request.plan.threads)
            work = RunWork(self._session, self._request, order, sampler)
            try:
                self._train(order, clock, work)
                self._score_test()
            except Diverged:
                self._measure_machine(watch)
                raise
            self._measure_machine(watch)
            self._observer.phase("testing the clock")
            self._record.clock = clock.test()
            self._observer.phase("verifying the work")
            self._record.verification = work.verify(self._record)

    def _start(self) -> BatchOrder:
        """Import and build; returns the order of the samples."""
        record, plan = self._record, self._request.plan
        self._observer.phase(f"importing {self._request.backend}")
        conversation = Conversation(self._session, self._request.backend, plan.threads)
        described = conversation.describe()
        record.framework = described.environment
        record.phases.import_seconds = described.import_seconds
        self._observer.phase("building")
        built = conversation.build(plan, record.dataset.name)
        record.device = built.device
        record.dataset.fingerprint = built.dataset_fingerprint
        record.dataset.origin = built.dataset_origin
        record.dataset.samples = built.samples
        record.phases.data_seconds = built.data_seconds
        record.phases.build_seconds = built.build_seconds
        order = BatchOrder.of_task(plan.task, built.samples["train"], plan.seed)
        record.batch_size = order.batch_size
        self._observer.started(record)
        return order

    def _train(self, order: BatchOrder, clock: RunClock, work: RunWork) -> None:
        """Train all epochs."""
        total = order.steps_per_epoch * self._request.plan.task.epochs
        total = min(total, self._request.max_steps or total)
        epoch_losses: list[list[float]] = []
        while self._step < total:
            count = min(block_steps(order, self._step, self._step_seconds, total), total - self._step)
            last = self._step + count == total
            trained = clock.train(count, last=last)
            epoch_losses += self._read_block(trained, order, count, total)
            work.trained(trained, self._step, last=last)
            self._record.first_losses = work.first_losses
            if last or self._step % order.steps_per_epoch == 0:
                epoch = -(-self._step // order.steps_per_epoch)
                if self._record.evaluation.includes(epoch, last=last):
                    means = [statistics.fmean(column) for column in zip(*epoch_losses, strict=True)]
                    self._score_epoch(epoch, means)
                self._store.save(self._record)
                epoch_losses = []

    def _read_block(
        self, trained: protocol.Trained, order: BatchOrder, count: int, total: int
    ) -> list[list[float]]:
        """Write a block of ``count`` steps into the record; returns the losses of each step."""
        epoch, place = divmod(self._step, order.steps_per_epoch)
        batch_size = (
            order.batch_size if place < order.full_steps else order.samples_per_epoch % order.batch_size
        )
        phases = self._record.phases
        phases.training_seconds += trained.seconds
        if self._step == 0:
            phases.first_step_seconds = trained.seconds
        elif batch_size == order.batch_size:
            self._step_seconds = trained.seconds / count
        self._step += count
        self._record.blocks.append(Block(epoch + 1, count, batch_size, trained.seconds))
        losses: list[list[float]] = []
        for step, row in enumerate(trained.losses, self._step - count + 1):
            finite = [loss for loss in row if loss is not None]
            if len(finite) < len(row):
                raise Diverged(f"the loss of step {step} (epoch {epoch + 1}) is not finite")
            losses.append(finite)
        self._observer.trained(self._step, total, epoch + 1, losses[-1][-1], self._step_seconds)
        return losses

    def _score_epoch(self, number: int, training_losses: list[float]) -> None:
        """Score an epoch with these mean losses; of two, the discriminator's comes first."""
        record = self._record
        self._observer.phase("scoring")
        request = protocol.Evaluate(["train", "validation"], record.evaluation.samples)
        scored = self._session.call(request, protocol.Evaluated)
        record.phases.evaluation_seconds += scored.seconds
        train, validation = scored.scores["train"], scored.scores["validation"]
        seconds = record.phases.training_seconds
        *discriminator_loss, training_loss = training_losses
        epoch = Epoch(
            number,
            self._step,
            seconds,
            training_loss,
            train,
            validation,
            next(iter(discriminator_loss), None),
            datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        )
        record.epochs.append(epoch)
        self._observer.scored(epoch)
        loss = validation.get("frechet_distance", validation["loss"])
        if train["loss"] is None or loss is None:
            raise Diverged(f"a loss scored after epoch {number} is not finite")
        if loss < self._best_loss:
            self._best_loss, record.best_epoch = loss, number
            self._session.call(protocol.KeepWeights(), protocol.Done)

    def _score_test(self) -> None:
        """Score the test data, which nothing else uses, with the last weights and those of the best epoch."""
        record = self._record
        if not record.epochs:  # nothing is scored
            return
        self._observer.phase("scoring the test data")
        last_is_best = record.best_epoch == record.epochs[-1].epoch
        record.test_at_last = self._evaluate_test(best=last_is_best)
        if last_is_best:
            record.test_at_best = record.test_at_last
        else:
            self._session.call(protocol.RestoreWeights(), protocol.Done)
            record.test_at_best = self._evaluate_test(best=True)

    def _evaluate_test(self, *, best: bool) -> Scores:
        scored = self._session.call(protocol.Evaluate(["test"], drawn=best), protocol.Evaluated)
        self._record.phases.evaluation_seconds += scored.seconds
        self._keep_pictures(scored, best=best)
        return scored.scores["test"]

    def _keep_pictures(self, scored: protocol.Evaluated, *, best: bool) -> None:
        """Write what a report draws: of the weights of the best epoch, and a generator's last samples."""
        record, pictures = self._record, self._record.pictures
        if scored.samples_png is not None:
            if best:
                record.samples_file = self._store.save_picture(record, scored.samples_png)
            else:
                pictures.last_samples = self._store.save_picture(record, scored.samples_png, "-last")
        drawn = scored.drawn or Drawn()
        if drawn.course_png is not None:
            pictures.course = self._store.save_picture(record, drawn.course_png, "-course")
            pictures.course_epochs = [record.epochs[place].epoch for place in drawn.course_places]
        if best:
            record.outcomes = drawn.outcomes
            if drawn.examples_png is not None:
                pictures.examples = self._store.save_picture(record, drawn.examples_png, "-examples")

    def _measure_machine(self, watch: Watch) -> None:
        self._record.interference = watch.report()
        memory = self._session.call(protocol.MeasureMemory(), protocol.Memory)
        self._record.peak_memory_bytes = memory.peak_bytes
        self._record.device_peak_memory_bytes = memory.device_peak_bytes
