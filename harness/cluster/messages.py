"""Messages of an agent to the driver while it works: records to save, events, then the result."""

import copy
import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from harness.core.runs.events import CertificationEvent, Examined, RunEvent, Trained
from harness.core.runs.record import Record
from harness.errors import HarnessError

#: Each block of steps makes an event of these kinds; an event soon after another is left out.
_FREQUENT = (Trained, Examined)
_LEAST_SECONDS_BETWEEN = 0.5


class Save(NamedTuple):
    """See :meth:`harness.core.runs.store.Store.save`."""

    record: Record


class SaveBeside(NamedTuple):
    """See :meth:`harness.core.runs.store.Store.save_beside`."""

    record: Record
    content: bytes
    ending: str


class Ended(NamedTuple):
    """The end of the work. ``error`` says why there is no result; ``exit_code`` belongs to the error."""

    result: Any
    error: str | None = None
    exit_code: int = 1


class WorkEvent(NamedTuple):
    """An event of work of another kind: see :class:`harness.core.shell.executors.PlacedWork`."""

    event: Any


#: The progress of the work.
Event = RunEvent | CertificationEvent | WorkEvent
Message = Save | SaveBeside | Event | Ended
Send = Callable[[Message], None]


class Forward:
    """Sends events to the driver, in the stream of the work that is under way."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self._sent_at: dict[type, float] = {}

    def __call__(self, event: Event) -> None:
        """Send a copy of ``event``: its record may change before it is sent."""
        kind, now = type(event), time.monotonic()
        if kind in _FREQUENT and now - self._sent_at.get(kind, 0.0) < _LEAST_SECONDS_BETWEEN:
            return
        self._sent_at[kind] = now
        self.send(copy.deepcopy(event))


class ForwardedStore:
    """The driver's folder of records: see :class:`harness.core.runs.store.RecordWriter`."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def save(self, record: Record) -> None:
        """See :meth:`harness.core.runs.store.Store.save`."""
        self._send(Save(copy.deepcopy(record)))

    def save_beside(self, record: Record, content: bytes, ending: str) -> str:
        """See :meth:`harness.core.runs.store.Store.save_beside`."""
        self._send(SaveBeside(copy.deepcopy(record), content, ending))
        return f"{record.id}{ending}"


def streamed(work: Callable[[Send], Any], thread: ThreadPoolExecutor) -> Iterator[Message]:
    """Do ``work`` in a thread; yield the messages that it sends, then its end. A bug in it is raised."""
    messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
    future = thread.submit(work, messages.put)
    future.add_done_callback(lambda _future: messages.put(None))
    while (message := messages.get()) is not None:
        yield message
    yield _ended(future)


def _ended(future: Future[Any]) -> Ended:
    try:
        return Ended(future.result())
    except HarnessError as error:
        return Ended(None, str(error), error.exit_code)
