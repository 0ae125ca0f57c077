"""What an agent streams to the driver while it works: calls of the driver's objects, then the result."""

import copy
import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

from harness.errors import HarnessError
from harness.runs.record import Record
from harness.runs.store import WEIGHTS_SUFFIX

#: Calls of these methods that follow within this time are left out: each block of steps makes one.
_FREQUENT = ("trained", "examined")
_LEAST_SECONDS_BETWEEN = 0.5

#: Whose method is called: that of the folder of records, of the observer of the command, or of that of a run.
Target = Literal["store", "observer", "run"]


class Call(NamedTuple):
    """The driver calls this method, as the agent's code did."""

    target: Target
    method: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


class Ended(NamedTuple):
    """The work is done. ``error`` says why there is no result, and ``exit_code`` is that of the error."""

    result: Any
    error: str | None = None
    exit_code: int = 1


Message = Call | Ended
Send = Callable[[Message], None]


class Forwarded:
    """Stands for an object of the driver: every call of a method becomes a message, without a result."""

    def __init__(self, target: Target, send: Send) -> None:
        self._target = target
        self._send = send
        self._sent_at: dict[str, float] = {}

    def __getattr__(self, method: str) -> Callable[..., None]:
        def call(*arguments: Any, **keywords: Any) -> None:
            now = time.monotonic()
            if method in _FREQUENT and now - self._sent_at.get(method, 0.0) < _LEAST_SECONDS_BETWEEN:
                return
            self._sent_at[method] = now
            # A record changes before it is sent.
            self._send(Call(self._target, method, copy.deepcopy(arguments), keywords))

        return call


class ForwardedStore:
    """The driver's folder of records: see :class:`harness.runs.store.RecordWriter`."""

    def __init__(self, send: Send) -> None:
        self._store = Forwarded("store", send)

    def save(self, record: Record) -> None:
        """See :meth:`harness.runs.store.Store.save`."""
        self._store.save(record)

    def save_picture(self, record: Record, png: bytes, kind: str = "") -> str:
        """See :meth:`harness.runs.store.Store.save_picture`."""
        self._store.save_picture(record, png, kind)
        return f"{record.id}{kind}.png"

    def save_weights(self, record: Record, content: bytes, kind: str) -> str:
        """See :meth:`harness.runs.store.Store.save_weights`."""
        self._store.save_weights(record, content, kind)
        return f"{record.id}{kind}{WEIGHTS_SUFFIX}"


def streamed(work: Callable[[Send], Any], thread: ThreadPoolExecutor) -> Iterator[Message]:
    """Do the work in this thread; yields what it sends, then the end. A bug in it is raised."""
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
