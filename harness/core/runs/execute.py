"""One run in a worker process. Its record is written whatever happens.

The process is fresh, and the machine serves nothing else; or nobody judges the times, and the run has a
:class:`harness.core.runs.places.Place` beside others.
"""

import contextlib
import datetime
import math
import statistics
import time
from collections.abc import Iterator

import msgspec

from harness.core.audit.audit import AuditedTraining
from harness.core.audit.budgets import AUDIT_SHARE
from harness.core.audit.findings import WorkDiffers
from harness.core.audit.segments import Work
from harness.core.certify.certificate import Certificate, Losses
from harness.core.machine.guarded_folder import GuardedFolder
from harness.core.machine.usage import Watch
from harness.core.runs.events import Phase, RunObserver, Scored, Started, Trained
from harness.core.runs.extensions import carry_out, work_of
from harness.core.runs.losses import LOSSES_ENDING, encoded_losses
from harness.core.runs.places import Place
from harness.core.runs.record import Block, Epoch, Failure, KeptFile, Record, SavedWeights
from harness.core.runs.request import RunRequest, new_record
from harness.core.runs.store import WEIGHTS_SUFFIX, RecordWriter
from harness.core.runs.weights import weights_description
from harness.core.training.batches import BatchOrder, block_steps
from harness.core.training.counts import samples_of_step
from harness.core.training.outcome_records import Drawn, Outcomes
from harness.core.worker import protocol
from harness.core.worker.session import Conversation, Session, silence_within
from harness.errors import Declined, HarnessError, RequestFailed, WorkerLost, WorkerTimeout, interruption
from harness.spec.data import Split
from harness.spec.task import Adversarial


class Diverged(Exception):
    """A loss is no longer finite."""


class Stopped(Exception):
    """A trial falls behind earlier ones; see :class:`harness.core.runs.request.StopRule`."""


class TrainingRun:
    """The training of one run: requests to the worker in their order, each reply written into the record."""

    def __init__(
        self,
        request: RunRequest,
        record: Record,
        session: Session,
        store: RecordWriter,
        notify: RunObserver,
        place: Place | None = None,
    ) -> None:
        self._request = request
        self._record = record
        self._session = session
        self._store = store
        self._notify = notify
        self._place = place
        self._step = 0
        self._step_seconds = 0.0
        self._best_loss = math.inf
        self._losses: Losses = []

    def carry_out(self) -> None:
        """Import, build, train and score."""
        begun = time.monotonic()
        order = self._start()
        watch = Watch(self._session.process.pid) if self._place is None else None
        audit = AuditedTraining(self._session, self._work(order))
        with contextlib.closing(audit):
            try:
                self._train(audit)
                self._keep_losses()
                self._keep_weights(best=False)
                self._score_test()
            except (Diverged, Stopped):
                self._keep_losses()
                self._measure_process(watch)
                raise
            self._measure_process(watch)
            self._notify(Phase("verifying the work"))
            self._record.verification = audit.verify(AUDIT_SHARE * (time.monotonic() - begun))
            self._work_after_training(audit)

    def _work(self, order: BatchOrder) -> Work:
        request = self._request
        backend, dataset = request.configuration.backend, self._record.dataset.name
        return Work(backend, request.plan, dataset, order, self._other_session)

    def _other_session(self) -> Session:
        limit = self._request.timeout_seconds
        if self._place is not None:
            return self._place.session(self._request.configuration, limit)[0]
        return Session(self._record.worker_variables, limit, silence_seconds=silence_within(limit))

    def _start(self) -> BatchOrder:
        """Import and build; returns the order of the samples."""
        record, plan = self._record, self._request.plan
        backend = record.configuration.backend
        self._notify(Phase(f"importing {backend}"))
        conversation = Conversation(self._session, backend, plan.threads)
        described = conversation.describe()
        record.framework = described.environment
        # A forked worker has found everything imported.
        record.phases.import_seconds = described.import_seconds if self._place is None else None
        self._notify(Phase("building"))
        built = conversation.build(plan, record.dataset.name)
        record.device = built.device
        record.dataset.fingerprint = built.dataset_fingerprint
        record.dataset.origin = built.dataset_origin
        record.dataset.samples = built.samples
        record.phases.data_seconds = built.data_seconds
        record.phases.build_seconds = built.build_seconds
        order = BatchOrder.of_task(plan.task, built.samples["train"], plan.seed)
        record.batch_size = samples_of_step(plan.task, built.samples["train"])
        self._notify(Started(record))
        return order

    def _train(self, audit: AuditedTraining) -> None:
        order = audit.order
        total = order.steps_per_epoch * self._request.task.epochs
        total = min(total, self._request.max_steps or total)
        epoch_losses: list[list[float]] = []
        while self._step < total:
            count = min(block_steps(order, self._step, self._step_seconds, total), total - self._step)
            last = self._step + count == total
            trained = audit.train(count)
            epoch_losses += self._read_block(trained, order, count, total)
            if last:
                audit.read(last=True)
            self._record.first_losses = audit.first_losses
            if last or self._step % order.steps_per_epoch == 0:
                epoch = -(-self._step // order.steps_per_epoch)
                if self._record.evaluation.includes(epoch, last=last):
                    means = [statistics.fmean(column) for column in zip(*epoch_losses, strict=True)]
                    self._score_epoch(epoch, means, last=last)
                self._store.save(self._record)
                epoch_losses = []
            if not last:
                audit.read()

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
        federated = self._request.task.federated
        seen = batch_size * federated.local_epochs if federated else batch_size
        self._record.blocks.append(Block(epoch + 1, count, seen, trained.seconds))
        self._losses += trained.losses
        losses: list[list[float]] = []
        for step, row in enumerate(trained.losses, self._step - count + 1):
            finite = [loss for loss in row if loss is not None]
            if len(finite) < len(row):
                raise Diverged(f"the loss of step {step} (epoch {epoch + 1}) is not finite")
            losses.append(finite)
        self._notify(Trained(self._step, total, epoch + 1, losses[-1][-1], self._step_seconds))
        return losses

    def _score_epoch(self, number: int, training_losses: list[float], *, last: bool) -> None:
        """Score an epoch with these mean losses; if there are two, the discriminator's comes first."""
        record = self._record
        self._notify(Phase("scoring"))
        scored = self._evaluate(["train", "validation"], record.evaluation.samples)
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
        self._notify(Scored(epoch))
        loss = validation.get("frechet_distance", validation["loss"])
        if train["loss"] is None or loss is None:
            raise Diverged(f"a loss scored after epoch {number} is not finite")
        if loss < self._best_loss:
            self._best_loss, record.best_epoch = loss, number
            self._session.call(protocol.KeepWeights(), protocol.Done)
        rule = self._request.stop
        if rule and not last and (reason := rule.reason(record.epochs)):
            raise Stopped(reason)

    def _score_test(self) -> None:
        """Score the test data, which nothing else uses, with the weights of the last and the best epoch."""
        record = self._record
        if not record.epochs:  # nothing is scored
            return
        self._notify(Phase("scoring the test data"))
        last_is_best = record.best_epoch == record.epochs[-1].epoch
        last = best = self._evaluate_test(best=last_is_best, last=True)
        record.test_at_last = last.scores["test"]
        if not last_is_best:
            self._keep_weights(best=True)
            self._session.call(protocol.RestoreWeights(), protocol.Done)
            best = self._evaluate_test(best=True, last=False)
        record.test_at_best = best.scores["test"]
        record.outcomes = _outcomes_of(best, last)

    def _work_after_training(self, audit: AuditedTraining) -> None:
        """Carry out the work of features, now that nothing is timed or verified any more."""
        for work in work_of(self._request):
            self._notify(Phase(work.phase))
            extension = carry_out(work, self._record, self._session, audit.last_state)
            if extension is not None:
                self._record.extensions[work.name] = extension

    def _keep_losses(self) -> None:
        """Write the losses of all steps next to the record."""
        content = encoded_losses(self._losses)
        name = self._store.save_beside(self._record, content, LOSSES_ENDING)
        self._record.losses = KeptFile.of(name, content)

    def _keep_weights(self, *, best: bool) -> None:
        """Write the current weights, or those of the best epoch, next to the record if it is asked for."""
        record = self._record
        if not self._request.save_weights:
            return
        which = "best" if best else "last"
        folder = GuardedFolder("weights")
        try:
            path = folder.path / which
            request = protocol.SaveWeights(str(path), best, weights_description(record, which))
            self._session.call(request, protocol.Done)
            content = path.read_bytes()
        except OSError as error:
            raise HarnessError(f"the weights cannot be written: {error.strerror}") from error
        finally:
            folder.close()
        name = self._store.save_beside(record, content, f"-{which}{WEIGHTS_SUFFIX}")
        file = KeptFile.of(name, content)
        if record.weights is None:
            record.weights = SavedWeights(file)
        else:
            record.weights.best = file

    def _evaluate(
        self, splits: list[Split], samples: int | None = None, *, drawn: bool = False
    ) -> protocol.Evaluated:
        return self._session.call(protocol.Evaluate(splits, samples, drawn), protocol.Evaluated)

    def _evaluate_test(self, *, best: bool, last: bool) -> protocol.Evaluated:
        generates = isinstance(self._request.task.objective, Adversarial)
        scored = self._evaluate(["test"], drawn=best or generates)
        self._record.phases.evaluation_seconds += scored.seconds
        if last:
            self._record.test_samples_at_last = scored.test_samples
        else:
            self._record.test_samples_at_best = scored.test_samples
        self._keep_pictures(scored, best=best)
        return scored

    def _keep_pictures(self, scored: protocol.Evaluated, *, best: bool) -> None:
        """Write the pictures of a report: those of the best epoch, and a generator's last samples."""
        record, pictures, drawn = self._record, self._record.pictures, scored.drawn or Drawn()

        def kept(png: bytes | None, ending: str) -> str | None:
            return None if png is None else self._store.save_beside(record, png, f"{ending}.png")

        if not best:
            pictures.last_samples = kept(scored.samples_png, "-last")
            return
        record.samples_file = kept(scored.samples_png, "")
        pictures.course = kept(drawn.course_png, "-course")
        pictures.course_epochs = [record.epochs[place].epoch for place in drawn.course_places]
        pictures.examples = kept(drawn.examples_png, "-examples")
        pictures.neighbours = kept(drawn.neighbours_png, "-neighbours")

    def _measure_process(self, watch: Watch | None) -> None:
        measured = self._session.call(protocol.Measure(), protocol.Measured).values
        if self._place is not None:
            self._place.note_memory(measured)
        if watch is not None:
            self._record.interference, self._record.measured = watch.report(), measured


def _outcomes_of(best: protocol.Evaluated, last: protocol.Evaluated) -> Outcomes | None:
    """Return the outcomes of the best epoch, with the generated images of the last one."""
    of_best, of_last = (scored.drawn.outcomes if scored.drawn else None for scored in (best, last))
    if of_best is None or of_last is None:
        return of_best
    return msgspec.structs.replace(of_best, generated_at_last=of_last.generated)


def execute(
    request: RunRequest,
    certificate: Certificate | None,
    store: RecordWriter,
    notify: RunObserver,
    place: Place | None = None,
    *,
    fresh: bool = False,
) -> Record:
    """Execute a run and record it; errors of plugins, frameworks and users become part of the record.

    Without a ``place`` the times of the run are judged. With one its worker is forked, unless it is to be a
    ``fresh`` process.

    A Ctrl-C leaves a record with status ``interrupted``. The record is saved at the start and after each
    epoch, so that measurements survive even the death of this process.
    """
    record = new_record(request)
    record.certificate = certificate
    try:
        _carry_out(request, record, store, notify, place, fresh=fresh)
    except KeyboardInterrupt as interrupt:
        # The last record is complete in any case: further signals wait, see harness.core.shell.signals.
        ended = record.status == "ok" or record.failure is not None
        if not ended:
            record.status, record.failure = "interrupted", Failure(interruption(interrupt))
        store.save(record)
        if ended:
            raise
    return record


def _carry_out(
    request: RunRequest,
    record: Record,
    store: RecordWriter,
    notify: RunObserver,
    place: Place | None,
    *,
    fresh: bool,
) -> None:
    try:
        if place is not None:
            record.worker_variables = place.variables(request.configuration)
        store.save(record)
        with _worker(request, record, place, fresh=fresh) as session:
            _train(TrainingRun(request, record, session, store, notify, place), record, session)
    except HarnessError as error:  # such as: no worker can be started, now or later
        record.status, record.failure = "failed", Failure(str(error))
        if place is None or not place.abandoned:
            store.save(record)
            raise
    if place is not None and place.abandoned:
        # Its workers were killed, which the verification takes for a failure of the second program.
        record.status, record.failure = "interrupted", Failure(place.abandoned)
    store.save(record)


def _train(run: TrainingRun, record: Record, session: Session) -> None:
    """Carry out a run in its worker, and record how it ended."""
    try:
        run.carry_out()
        record.status = "ok"
    except Diverged as error:
        record.status, record.failure = "diverged", Failure(str(error))
    except Stopped as error:
        record.status, record.failure = "stopped", Failure(str(error))
    except Declined as error:
        record.status, record.failure = "unsupported", Failure(str(error))
    except WorkDiffers as error:
        record.status, record.failure = "failed", Failure(str(error))
        record.verification = error.verification
    except (RequestFailed, WorkerLost, WorkerTimeout) as error:
        record.status = "timeout" if isinstance(error, WorkerTimeout) else "failed"
        record.failure = Failure(
            str(error),
            getattr(error, "worker_exit_code", None),
            getattr(error, "signal_name", None),
            getattr(error, "traceback", ""),
            session.process.last_lines(),
        )


@contextlib.contextmanager
def _worker(request: RunRequest, record: Record, place: Place | None, *, fresh: bool) -> Iterator[Session]:
    """Start the worker of a run; its record says how."""
    limit = request.timeout_seconds
    if place is None:
        with Session(record.worker_variables, limit, silence_seconds=silence_within(limit)) as session:
            yield session
        return
    session, record.making = place.session(request.configuration, limit, fresh=fresh)
    with session:
        yield session
        if record.making.process == "forked":
            place.learn_from(session, request.configuration)
