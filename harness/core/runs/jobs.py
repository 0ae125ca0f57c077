"""Several runs at once on this machine, where nobody judges their times.

Threads execute the runs, each at a place of its own, and save their records. This thread alone gives out
runs, shows what happens, and ends everything after Ctrl-C, so that nothing else has to be safe for threads.
"""

import contextlib
import queue
import random
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import FrameType, TracebackType
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import msgspec
import psutil

from harness.core.runs.events import (
    CertificationEvent,
    Certified,
    Examined,
    Finished,
    RunEvent,
    RunObserver,
)
from harness.core.runs.execute import execute
from harness.core.runs.places import Place, places
from harness.core.runs.record import Failure, Record
from harness.core.runs.request import RunRequest
from harness.core.runs.sequence import Certification, SequenceObserver
from harness.core.runs.sharing import PlannedRun, SharedRuns
from harness.core.runs.store import RecordWriter
from harness.core.worker.template import Templates
from harness.errors import interruption

#: How long news are awaited before the records of other processes are looked up.
_POLL_SECONDS = 0.5
_ENDING_POLL_SECONDS = 0.05
#: A worker is expected to take so much memory before the first one has ended.
_EXPECTED_BYTES = 1 << 30
#: A place has at most two workers, each with eight pipes and files; the rest of the command needs others.
_FILES_OF_A_PLACE, _OTHER_FILES = 16, 256
_RNG = random.SystemRandom()
_T = TypeVar("_T")
_R = TypeVar("_R")


class JobsObserver(SequenceObserver, Protocol):
    """Watches several runs at once: the name of a node is the number of a place, from 1."""

    def certificate(self, node: str, event: CertificationEvent) -> None:
        """Show the progress of a certificate."""


class _News(NamedTuple):
    """Something that has happened at a place, or the end of its run, by its record or an error."""

    place: int
    event: RunEvent | CertificationEvent | Record | BaseException


class Crew:
    """The places of this machine with their threads, for the whole of a command; a context manager.

    Its templates are processes of the thread that enters it.
    """

    def __init__(
        self, jobs: int, threads: int, device: str, *, gpus: int = 0, waits_for_memory: bool
    ) -> None:
        """Prepare ``jobs`` places of so many threads; with ``waits_for_memory`` as many at once as fit."""
        self._templates = Templates()
        #: What all workers together may take.
        self._memory_bytes = psutil.virtual_memory().available if waits_for_memory else None
        self.places = places(self._templates, jobs, threads, device, gpus)
        self._pool = ThreadPoolExecutor(jobs)
        self._forked: dict[str, RunRequest] = {}
        _allow_open_files(_FILES_OF_A_PLACE * jobs + _OTHER_FILES)

    def submit(self, work: Callable[[], None]) -> Future[None]:
        """Have a thread do work."""
        return self._pool.submit(work)

    def each(self, work: Callable[[Place, _T], _R], items: Sequence[_T]) -> list[_R]:
        """Return ``work(place, item)`` of each item, several at once; raise its first error.

        After an error, and after Ctrl-C, all workers are ended.
        """
        free: queue.SimpleQueue[Place] = queue.SimpleQueue()
        for place in self.places:
            free.put(place)

        def do(item: _T) -> _R:
            place = free.get()
            try:
                return work(place, item)
            finally:
                free.put(place)

        futures: list[Future[_R]] = []
        try:
            for item in items:
                futures.append(self._pool.submit(do, item))  # noqa: PERF401  those before a Ctrl-C are ended
            return [future.result() for future in futures]
        except BaseException as error:
            for future in futures:
                future.cancel()
            self.end(futures, str(error))
            raise

    def end(
        self, futures: Sequence[Future[Any]], reason: str, also: Callable[[], None] = lambda: None
    ) -> None:
        """End all workers, and those that begin meanwhile, until threads are done; call ``also``, too."""
        while True:
            for place in self.places:
                place.abandon(reason)
            self._templates.kill()
            also()
            if not wait(futures, _ENDING_POLL_SECONDS).not_done:
                return

    def room_beside(self, running: int) -> bool:
        """Check whether the memory has room for another worker beside those that run."""
        if not running or self._memory_bytes is None:
            return True
        peak = max(place.peak_bytes for place in self.places) or _EXPECTED_BYTES
        return (running + 1) * peak <= self._memory_bytes and psutil.virtual_memory().available > peak

    def note(self, request: RunRequest, record: Record) -> None:
        """Note a run that has ended: :meth:`conclude` may repeat it if a forked worker has made it."""
        if is_repeatable(record):
            self._forked[record.id] = request

    def conclude(self, store: RecordWriter, records: Sequence[Record], say: Callable[[str], None]) -> None:
        """Name the backends that could not be forked, and repeat a run: see :func:`conclude`."""
        for backend, reason in self._templates.reasons.items():
            say(f"Each worker of backend {backend} was started anew instead of forked: {reason}")

        def again(request: RunRequest, record: Record) -> Record:
            return repeated(request, record, self.places[0])

        conclude(self._forked, records, again, store, say)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._pool.shutdown()
        finally:
            self._templates.__exit__(kind, error, trace)


def _allow_open_files(number: int) -> None:
    """Raise the limit of open files of this process to ``number``, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < number:
        allowed = number if hard == resource.RLIM_INFINITY else min(number, hard)
        with contextlib.suppress(ValueError, OSError):  # workers beyond the limit cannot be started
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


@contextlib.contextmanager
def _interrupts_kept(keep: Callable[[KeyboardInterrupt], None]) -> Iterator[None]:
    """Pass the first KeyboardInterrupt of a signal to ``keep``; it is raised nowhere. Raise later ones."""
    known = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    is_kept = False

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal is_kept
        handle = known[signal.Signals(number)]
        assert callable(handle)  # noqa: S101  others are left as they are
        try:
            handle(number, frame)
        except KeyboardInterrupt as interrupt:
            if is_kept:
                raise
            is_kept = True
            keep(interrupt)

    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread alone
        yield
        return
    handled = [number for number, handle in known.items() if callable(handle)]
    for number in handled:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, known[number])


def is_repeatable(record: Record) -> bool:
    """Check that a forked worker has made a run, so that a fresh process must compute the same."""
    return record.status == "ok" and record.making is not None and record.making.process == "forked"


def repeated(request: RunRequest, record: Record, place: Place) -> Record:
    """Repeat a recorded run in a fresh process; return the record of the repetition, which is not saved."""
    asked = msgspec.structs.replace(request, after_training=(), save_weights=False)
    discarded: RecordWriter = _Discarded()
    return execute(asked, record.certificate, discarded, lambda _event: None, place, fresh=True)


def conclude(
    forked: dict[str, RunRequest],
    records: Sequence[Record],
    again: Callable[[RunRequest, Record], Record],
    store: RecordWriter,
    say: Callable[[str], None],
) -> None:
    """Have ``again`` repeat a run, and say in its record whether the repetition is equal.

    The run is drawn at random among those ``records`` that are ``forked``: requests by the id of the record,
    which are then forgotten. It has failed if it is not equal. ``say`` prints a line.
    """
    candidates = [record for record in records if record.id in forked]
    if not candidates:
        return
    say("One run, drawn at random, is repeated in a fresh process")
    record = _RNG.choice(candidates)
    request = forked[record.id]
    forked.clear()
    first = again(request, record)
    if first.status == "interrupted":
        raise KeyboardInterrupt
    if first.status != "ok" or record.making is None:
        say(f"It could not be repeated: the fresh process ended as {first.status}")
        return
    equal = outcome_of(first) == outcome_of(record)
    second = first if equal else again(request, record)
    if second.status != "ok":
        say(f"It computes something else in a fresh process, of which another one ended as {second.status}")
        return
    if not equal and outcome_of(second) == outcome_of(first):
        record.status = "failed"
        record.failure = Failure(
            "a fresh process computes other losses or scores than the forked one; times aside, both must "
            f"be equal: report it, and train backend {record.configuration.backend} by harness run "
            "without --jobs"
        )
    record.making = msgspec.structs.replace(
        record.making, repeated="equal" if equal else "not repeatable" if record.failure is None else None
    )
    store.save(record)


class _Discarded:
    """A :class:`RecordWriter` that keeps nothing."""

    def save(self, record: Record) -> None:
        """Keep nothing."""

    def save_beside(self, record: Record, content: bytes, ending: str) -> str:
        """Keep nothing; return the name that the file would have."""
        del content
        return f"{record.id}{ending}"


def outcome_of(record: Record) -> list[object]:
    """Return all that a training has computed and no clock has measured."""
    epochs = [(each.steps, each.training_loss, each.train, each.validation) for each in record.epochs]
    samples = (record.test_samples_at_last, record.test_samples_at_best)
    tests = (record.test_at_last, record.best_epoch, record.test_at_best)
    return [record.first_losses, epochs, *tests, *samples]


def execute_beside(
    shared: SharedRuns,
    store: RecordWriter,
    observer: JobsObserver,
    certify: bool,
    crew: Crew,
) -> list[Record]:
    """Execute the runs of a matrix that are left and free at the places of ``crew``.

    Return the records of the matrix, in its order; after Ctrl-C those of runs under way are interrupted.
    """
    news: queue.SimpleQueue[_News] = queue.SimpleQueue()
    requests = [run.request for run in shared.left] if certify else []
    certification = Certification(requests, lambda _event: None)
    turn = _Execution(shared, store, observer, certification if certify else None, crew, news)
    with certification, _interrupts_kept(turn.keep):
        try:
            turn.run()
        except KeyboardInterrupt as interrupt:
            if not turn.abandon(interruption(interrupt)):
                raise
        except BaseException as error:
            turn.abandon(str(error))
            raise
    turn.raise_kept()  # it came after the last run
    return shared.records


class _Execution:
    """The runs at the places of a crew. A Ctrl-C is kept until no run is half begun or half ended."""

    def __init__(
        self,
        shared: SharedRuns,
        store: RecordWriter,
        observer: JobsObserver,
        certification: Certification | None,
        crew: Crew,
        news: "queue.SimpleQueue[_News]",
    ) -> None:
        self._shared, self._store, self._observer = shared, store, observer
        self._certification, self._crew, self._news = certification, crew, news
        self._running: dict[int, tuple[PlannedRun, RunObserver, Future[None]]] = {}
        self._looked_at = time.monotonic()
        self._interrupt: KeyboardInterrupt | None = None

    def keep(self, interrupt: KeyboardInterrupt) -> None:
        """Keep a Ctrl-C for :meth:`raise_kept`."""
        self._interrupt = interrupt

    def raise_kept(self) -> None:
        """Raise the Ctrl-C that was kept, if there is one."""
        interrupt, self._interrupt = self._interrupt, None
        if interrupt is not None:
            raise interrupt

    def run(self) -> None:
        """Give out runs and take news until none is left."""
        while self._running or self._shared.left:
            self.raise_kept()
            self._look_around()
            while self._begin():
                pass
            if not self._running and self._shared.left:
                self._observer.waiting(len(self._shared.left))
            self._take_news()

    def _look_around(self) -> None:
        """Take note of what other processes have recorded."""
        if time.monotonic() - self._looked_at < _POLL_SECONDS:
            return
        self._looked_at = time.monotonic()
        own = {planned.key for planned, *_ in self._running.values()}
        for planned, record in self._shared.refresh():
            if planned.key not in own:  # whose record is complete before its thread says so
                self._observer.recorded_elsewhere(planned.request, record)

    def _begin(self) -> bool:
        """Begin the next run at a free place; return False without either."""
        free = [number for number in range(len(self._crew.places)) if number not in self._running]
        if not free or not self._crew.room_beside(len(self._running)):
            return False
        planned = self._shared.claim()
        if planned is None:
            return False
        number, request = free[0], planned.request
        place = self._crew.places[number]
        place.template(request.configuration)  # starts in this thread, which lives longest
        notify = self._observer.begin(str(number + 1), request)

        def send(event: RunEvent | CertificationEvent | Record | BaseException) -> None:
            self._news.put(_News(number, event))

        def work() -> None:
            try:
                known = self._certification.certificate(request, send) if self._certification else None
                send(execute(request, known, self._store, send, place))
            except BaseException as error:  # noqa: BLE001  the other thread raises it
                send(error)

        self._running[number] = planned, notify, self._crew.submit(work)
        return True

    def _take_news(self) -> None:
        """Wait for news, and take all that has come."""
        try:
            self._take(self._news.get(timeout=_POLL_SECONDS))
            while True:
                self._take(self._news.get_nowait())
        except queue.Empty:
            pass

    def _take(self, news: _News) -> None:
        number, event = news
        planned, notify, _ = self._running[number]
        match event:
            case Record():
                del self._running[number]
                self._crew.note(planned.request, event)
                self._shared.add(planned, event)
                notify(Finished(event))
            case BaseException():
                del self._running[number]
                self._shared.give_back(planned)
                raise event
            case Examined() | Certified():
                self._observer.certificate(str(number + 1), event)
            case _:
                notify(event)

    def abandon(self, reason: str) -> bool:
        """End all runs under way; return whether one of them was recorded as interrupted."""
        futures = [future for *_, future in self._running.values()]
        certification = self._certification
        self._crew.end(futures, reason, certification.abandon if certification else lambda: None)
        while self._running:
            with contextlib.suppress(BaseException):  # the first error is the one that counts
                self._take_news()
        return any(record.status == "interrupted" for record in self._shared.records)
