"""One run: a fresh worker trains a task and is scored; whatever happens, a record tells of it.

Sends one request after the other to the worker and writes the replies into the record. What bears on
the result stands in the request.
"""

import datetime
import math
import os
import secrets
import statistics
import sys
from typing import Protocol

import msgspec

from harness.errors import Declined, HarnessError
from harness.machine.description import describe_machine
from harness.machine.interference import Watch
from harness.machine.worker_variables import inherited_variables, worker_variables
from harness.plugins.options import Value
from harness.runs.record import Block, DatasetRecord, Epoch, Failure, Record, TaskRecord
from harness.runs.store import Store
from harness.spec.backend import Plan
from harness.spec.description import description_sha256
from harness.testing.certificate import Certificate
from harness.training.batches import BatchOrder
from harness.training.blocks import block_steps
from harness.training.measures import Scores
from harness.worker import protocol
from harness.worker.conversation import Conversation
from harness.worker.errors import RequestFailed, WorkerLost, WorkerTimeout
from harness.worker.limits import silence_within
from harness.worker.session import Session


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. ``options`` are the values behind the plan's task, kept for the record."""

    backend: str
    plan: Plan
    options: dict[str, Value]
    dataset: DatasetRecord
    certificate: Certificate | None = None
    max_steps: int | None = None
    timeout_seconds: float | None = None


class Observer(Protocol):
    """Is told how a run goes while it goes."""

    def phase(self, name: str) -> None:
        """A phase other than training begins."""

    def trained(self, step: int, total_steps: int, epoch: int, loss: float, step_seconds: float) -> None:
        """A block has ended; ``step`` steps of ``total_steps`` are made."""

    def scored(self, epoch: Epoch) -> None:
        """An epoch has been scored."""


class Diverged(Exception):
    """A loss is no longer finite."""


def new_record(request: RunRequest) -> Record:
    """The record of a run that is about to start."""
    plan = request.plan
    now = datetime.datetime.now(datetime.UTC)
    task = TaskRecord(
        plan.task.name,
        plan.task.version,
        request.options,
        description_sha256(plan.task),
        plan.task,
    )
    label = f"{plan.task.name}-{request.backend}-{plan.mode}-s{plan.seed}"
    networks = plan.task.networks.values()
    settings = worker_variables(plan.threads, plan.device, os.environ)
    return Record(
        id=f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}-{label}-{secrets.token_hex(2)}",
        started_at=now.isoformat(timespec="seconds"),
        command=sys.argv[1:],
        task=task,
        dataset=msgspec.structs.replace(request.dataset),
        backend=request.backend,
        mode=plan.mode,
        machine=describe_machine(),
        worker_variables=settings,
        inherited_variables=inherited_variables(os.environ, settings),
        device_asked=plan.device,
        precision=plan.precision,
        threads=plan.threads,
        seed=plan.seed,
        batch_size=plan.task.batch_size or 0,  # all samples: known when the data is there
        epochs_asked=plan.task.epochs,
        max_steps=request.max_steps,
        parameters=sum(network.parameter_count() for network in networks),
        certificate=request.certificate,
        forward_flops_per_sample=sum(network.forward_flops() for network in networks),
    )


def execute(request: RunRequest, store: Store, observer: Observer) -> Record:
    """Run in a fresh process and record it; faults of plugins, frameworks and users end up in the record.

    A Ctrl-C gives a record too, with status ``interrupted``. The record is saved at the start and
    after each epoch, so that what was measured survives even the end of this process.

    Raises:
        HarnessError: the record cannot be written, or no worker be started.
    """
    record = new_record(request)
    store.save(record)
    try:
        limit = request.timeout_seconds
        with Session(record.worker_variables, limit, silence_seconds=silence_within(limit)) as session:
            try:
                _Run(request, record, session, store, observer).carry_out()
                record.status = "ok"
            except Diverged as error:
                record.status, record.failure = "diverged", Failure(str(error))
            except Declined as error:
                record.status, record.failure = "unsupported", Failure(str(error))
            except RequestFailed as error:
                record.status = "failed"
                record.failure = Failure(
                    str(error), traceback=error.traceback, last_lines=session.process.last_lines()
                )
            except WorkerLost as error:
                record.status = "failed"
                lines = session.process.last_lines()
                record.failure = Failure(
                    str(error), error.worker_exit_code, error.signal_name, last_lines=lines
                )
            except WorkerTimeout as error:
                record.status = "timeout"
                record.failure = Failure(str(error), last_lines=session.process.last_lines())
    except HarnessError as error:  # no worker could be started, say, and none will be
        record.status, record.failure = "failed", Failure(str(error))
        store.save(record)
        raise
    except KeyboardInterrupt:
        record.status, record.failure = "interrupted", Failure("interrupted by the user")
    store.save(record)
    return record


class _Run:
    """The requests of one run in their order, each reply written into the record as it comes."""

    def __init__(
        self, request: RunRequest, record: Record, session: Session, store: Store, observer: Observer
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
            Diverged: a loss stopped being finite; what came before is in the record.
        """
        self._start()
        watch = Watch(self._session.process.pid)
        try:
            self._train()
            self._score_test()
        except Diverged:
            self._measure_machine(watch)
            raise
        self._measure_machine(watch)

    def _start(self) -> None:
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

    def _train(self) -> None:
        task = self._request.plan.task
        samples = self._record.dataset.samples["train"]
        order = BatchOrder.of_task(task, samples, self._request.plan.seed)
        self._record.batch_size = order.batch_size
        total = order.steps_per_epoch * task.epochs
        total = min(total, self._request.max_steps or total)
        epoch_losses: list[list[float]] = []
        while self._step < total:
            count = min(block_steps(order, self._step, self._step_seconds), total - self._step)
            epoch_losses += self._train_block(order, count, total)
            if self._step % order.steps_per_epoch == 0 or self._step == total:
                self._score_epoch(
                    order, [statistics.fmean(column) for column in zip(*epoch_losses, strict=True)]
                )
                epoch_losses = []

    def _train_block(self, order: BatchOrder, count: int, total: int) -> list[list[float]]:
        trained = self._session.call(protocol.Train(count), protocol.Trained)
        epoch, place = divmod(self._step, order.steps_per_epoch)
        batch_size = order.batch_size if place < order.full_steps else order.samples % order.batch_size
        phases = self._record.phases
        phases.training_seconds += trained.seconds
        if self._step == 0:
            phases.first_step_seconds = trained.seconds
        elif batch_size == order.batch_size:
            self._step_seconds = trained.seconds / count
        self._step += count
        self._record.blocks.append(Block(epoch + 1, count, batch_size, trained.seconds))
        losses: list[list[float]] = []
        for step, told in enumerate(trained.losses, self._step - count + 1):
            finite = [loss for loss in told if loss is not None]
            if len(finite) < len(told):
                raise Diverged(f"the loss of step {step} (epoch {epoch + 1}) is not finite")
            losses.append(finite)
        self._observer.trained(self._step, total, epoch + 1, losses[-1][-1], self._step_seconds)
        return losses

    def _score_epoch(self, order: BatchOrder, training_losses: list[float]) -> None:
        """``training_losses`` are the epoch's means; where there are two, the discriminator's comes first."""
        record = self._record
        number = -(-self._step // order.steps_per_epoch)
        self._observer.phase("scoring")
        scored = self._session.call(protocol.Evaluate(["train", "validation"]), protocol.Evaluated)
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
        )
        record.epochs.append(epoch)
        self._store.save(record)
        self._observer.scored(epoch)
        loss = validation.get("frechet_distance", validation["loss"])
        if train["loss"] is None or loss is None:
            raise Diverged(f"a loss scored after epoch {number} is not finite")
        if loss < self._best_loss:
            self._best_loss, record.best_epoch = loss, number
            self._session.call(protocol.KeepWeights(), protocol.Done)

    def _score_test(self) -> None:
        """Test data is touched here only: with the last weights, and with those of the best epoch."""
        record = self._record
        self._observer.phase("scoring the test data")
        record.test_at_last = self._evaluate_test()
        if record.best_epoch == len(record.epochs):
            record.test_at_best = record.test_at_last
        else:
            self._session.call(protocol.RestoreWeights(), protocol.Done)
            record.test_at_best = self._evaluate_test()

    def _evaluate_test(self) -> Scores:
        scored = self._session.call(protocol.Evaluate(["test"]), protocol.Evaluated)
        self._record.phases.evaluation_seconds += scored.seconds
        if scored.samples_png is not None:
            # The best epoch is scored after the last one, and is the one that is kept.
            self._record.samples_file = self._store.save_samples(self._record, scored.samples_png)
        return scored.scores["test"]

    def _measure_machine(self, watch: Watch) -> None:
        self._record.interference = watch.report()
        memory = self._session.call(protocol.MeasureMemory(), protocol.Memory)
        self._record.peak_memory_bytes = memory.peak_bytes
        self._record.device_peak_memory_bytes = memory.device_peak_bytes
