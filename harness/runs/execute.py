"""One run in a fresh worker process. Its record is written whatever happens."""

from harness.audit.findings import DishonestClock, WorkDiffers
from harness.errors import Declined, HarnessError, interruption
from harness.runs.record import Failure, Record
from harness.runs.request import RunRequest, new_record
from harness.runs.store import RecordWriter
from harness.runs.training import Diverged, Observer, TrainingRun
from harness.worker.errors import RequestFailed, WorkerLost, WorkerTimeout
from harness.worker.limits import silence_within
from harness.worker.session import Session


def execute(request: RunRequest, store: RecordWriter, observer: Observer) -> Record:
    """Execute a run and record it; errors of plugins, frameworks and users become part of the record.

    A Ctrl-C leaves a record with status ``interrupted``. The record is saved at the start and after each
    epoch, so that measurements survive even the death of this process.

    Raises:
        HarnessError: the record cannot be written, or no worker can be started.
    """
    record = new_record(request)
    try:
        _carry_out(request, record, store, observer)
    except KeyboardInterrupt as interrupt:
        # Whenever it comes, the last record is whole: further signals wait, see harness.cli.signals.
        ended = record.status == "ok" or record.failure is not None
        if not ended:
            record.status, record.failure = "interrupted", Failure(interruption(interrupt))
        store.save(record)
        if ended:
            raise
    return record


def _carry_out(request: RunRequest, record: Record, store: RecordWriter, observer: Observer) -> None:
    try:
        store.save(record)
        limit = request.timeout_seconds
        with Session(record.worker_variables, limit, silence_seconds=silence_within(limit)) as session:
            try:
                TrainingRun(request, record, session, store, observer).carry_out()
                record.status = "ok"
            except Diverged as error:
                record.status, record.failure = "diverged", Failure(str(error))
            except Declined as error:
                record.status, record.failure = "unsupported", Failure(str(error))
            except DishonestClock as error:
                record.status, record.failure, record.clock = "failed", Failure(str(error)), error.clock
            except WorkDiffers as error:
                record.status, record.failure = "failed", Failure(str(error))
                record.verification = error.verification
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
    except HarnessError as error:  # such as: no worker can be started, now or later
        record.status, record.failure = "failed", Failure(str(error))
        store.save(record)
        raise
    store.save(record)
