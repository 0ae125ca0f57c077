"""The parent's handle on a worker: start it, send requests and await replies, pause it, end it."""

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from harness.core.machine.cpus import cpus_of
from harness.core.machine.encoding import encode
from harness.core.machine.pipes import LineOverdue, LinePipe, LineTooLong, PipeClosed
from harness.core.worker import protocol
from harness.core.worker.process import WorkerProcess, started
from harness.core.worker.template import Template
from harness.errors import (
    Declined,
    HarnessError,
    LossNotDeclared,
    MemoryRanOut,
    RequestFailed,
    WorkerLost,
    WorkerTimeout,
)
from harness.spec.backend import Plan

# Time limits of a worker: for its whole life, and for a single reply.

#: A worker that does not answer for this long, and then does not use the CPU, is taken to hang.
SILENCE_LIMIT_SECONDS = 600.0
#: How long a silent worker is watched.
WATCHED_SECONDS = 5.0


def silence_within(limit_seconds: float | None) -> float | None:
    """Return how long a worker with this time limit may be silent; None as in :class:`Session`."""
    return None if limit_seconds is None else max(SILENCE_LIMIT_SECONDS, limit_seconds)


class Limits:
    """When a reply of a worker is overdue. Time in which the worker is paused does not count."""

    def __init__(self, deadline_seconds: float | None, silence_seconds: float | None) -> None:
        """See :class:`harness.core.worker.session.Session`."""
        self._deadline_seconds = deadline_seconds
        self._silence_seconds = SILENCE_LIMIT_SECONDS if silence_seconds is None else silence_seconds
        self._is_given = silence_seconds is not None
        self._paused_at: float | None = None
        self.renew()

    def renew(self) -> None:
        """Grant the whole time until the deadline again."""
        seconds = self._deadline_seconds
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def pause(self) -> None:
        """Stop counting, until :meth:`resume`."""
        self._paused_at = time.monotonic()

    def resume(self) -> None:
        """Count again."""
        if self._deadline is not None and self._paused_at is not None:
            self._deadline += time.monotonic() - self._paused_at
        self._paused_at = None

    def reply_due(self) -> float:
        """Return when a reply that is awaited from now on is overdue, by the monotonic clock."""
        silent_until = time.monotonic() + self._silence_seconds
        return silent_until if self._deadline is None else min(silent_until, self._deadline)

    def may_go_on(self, due: float, process: WorkerProcess) -> bool:
        """Check whether a worker whose reply is overdue is at work, as on a machine with many others."""
        watched_seconds = min(WATCHED_SECONDS, self._silence_seconds)
        return due != self._deadline and not self._is_given and process.is_at_work(watched_seconds)

    def timeout(self, due: float) -> WorkerTimeout:
        """Return the error for a reply that was due at this time."""
        if due == self._deadline:
            limit = f"{self._deadline_seconds:g} s"
            return WorkerTimeout(f"the worker did not finish within the time limit of {limit}", silent=False)
        return WorkerTimeout(
            f"the worker was silent for {self._silence_seconds:g} s and was killed as hung", silent=True
        )


_R = TypeVar("_R", bound=msgspec.Struct)
_T = TypeVar("_T")


class Session:
    """A running worker. Use it as a context manager, which leaves no process behind.

    A class for another program sets ``program``, the arguments of the interpreter before the two descriptors,
    and ``replies``, the type of what it sends.
    """

    # -P: a file of the user's in the current folder must not be imported as a module.
    program: tuple[str, ...] = ("-P", "-m", "harness.core.worker")
    replies: Any = protocol.Reply

    def __init__(
        self,
        variables: Mapping[str, str],
        deadline_seconds: float | None = None,
        python: str = sys.executable,
        cpus: Iterable[int] | None = None,
        silence_seconds: float | None = None,
        template: Template | None = None,
    ) -> None:
        """Start a worker of this interpreter with these variables, on ``cpus`` or else on those they name.

        With a ``template`` of the same variables the worker is forked from it.

        ``deadline_seconds`` limits its whole life, pauses not counted, from the start or the last
        :meth:`renew_deadline`. ``silence_seconds`` limits the time for one reply, after which the worker is
        taken to hang. Default: :data:`harness.core.worker.session.SILENCE_LIMIT_SECONDS`, and further
        periods of that length while the worker uses the CPU.
        """
        requests_out, self._requests = os.pipe()
        self._replies, replies_in = os.pipe()
        self._limits = Limits(deadline_seconds, silence_seconds)
        self._lines = LinePipe(self._replies, protocol.LONGEST_REPLY_BYTES)
        self._is_paused = False
        command = [python, *self.program, str(requests_out), str(replies_in)]
        cpus, ends = cpus_of(variables) if cpus is None else cpus, (requests_out, replies_in)
        start = started(command, cpus, ends) if template is None else template.start(cpus, ends)
        try:
            self.process = WorkerProcess(python, start, variables)
        except HarnessError:
            os.close(self._requests)
            os.close(self._replies)
            raise
        finally:
            os.close(requests_out)
            os.close(replies_in)

    def renew_deadline(self) -> None:
        """Grant the worker its whole time again."""
        self._limits.renew()

    def call(self, request: msgspec.Struct, expected: type[_R]) -> _R:
        """Send a request and wait for its reply; raises as :meth:`receive` does."""
        self.send(request)
        return self.receive(expected)

    def operate(self, function: str, arguments: object, result: type[_T]) -> _T:
        """Call ``function(worker, arguments)`` in the worker; raises as :meth:`receive` does.

        ``function`` is ``package.module:NAME``. It receives the ``arguments`` encoded as JSON; its return
        value arrives as a ``result``.
        """
        encoded = msgspec.Raw(encode(arguments))
        operated = self.call(protocol.Operate(function, encoded), protocol.Operated)
        try:
            return msgspec.json.decode(operated.result, type=result)
        except msgspec.ValidationError as error:
            raise RequestFailed(f"{function} returned something else: {error}", "") from error

    def send(self, request: msgspec.Struct) -> None:
        """Send a request. The worker carries out requests one after the other; a paused one goes on."""
        self.resume()
        try:
            os.write(self._requests, msgspec.json.encode(request) + b"\n")
        except BrokenPipeError:
            raise self.process.cause_of_death() from None

    def receive(self, expected: type[_R]) -> _R:
        """Wait for the reply to the oldest request that is not answered yet."""
        line = self._read_line()
        try:
            reply = msgspec.json.decode(line, type=self.replies)
        except msgspec.MsgspecError as error:
            raise RequestFailed(f"cannot decode the worker's reply: {error}", "") from error
        if isinstance(reply, protocol.Fault):
            if reply.unsupported:
                raise (LossNotDeclared if reply.undeclared_loss else Declined)(reply.message)
            failed = MemoryRanOut if reply.memory_ran_out else RequestFailed
            raise failed(reply.message, reply.traceback)
        if not isinstance(reply, expected):
            raise RequestFailed(
                f"the worker replied {type(reply).__name__} instead of {expected.__name__}", ""
            )
        return reply

    def _read_line(self) -> bytes:
        due = self._limits.reply_due()
        try:
            line = self._lines.read(due, self._has_ended)
        except PipeClosed:
            raise self.process.cause_of_death() from None
        except LineOverdue:
            if self._limits.may_go_on(due, self.process):
                return self._read_line()
            self.kill()
            raise self._limits.timeout(due) from None
        except LineTooLong:
            self.kill()
            limit = protocol.LONGEST_REPLY_BYTES >> 20
            why = f"the worker was killed because its reply was longer than {limit} MiB"
            raise WorkerLost(why, None, None) from None
        self.process.trim_log()
        return line

    def _has_ended(self) -> bool:
        self.process.trim_log()
        return self.process.has_ended()

    def with_last_lines(self, error: HarnessError, count: int = 3) -> str:
        """Return the error's message, followed by the last lines that the worker printed, in brackets."""
        lines = self.process.last_lines()[-count:]
        return f"{error} [{'; '.join(lines)}]" if lines else str(error)

    def pause(self) -> None:
        """Stop the worker until :meth:`resume` or the next request; see :meth:`WorkerProcess.stop`."""
        if not self._is_paused:
            self._is_paused = True
            self._limits.pause()
            self.process.stop()

    def resume(self) -> None:
        """Let a paused worker continue."""
        if self._is_paused:
            self._is_paused = False
            self._limits.resume()
            self.process.resume()

    def kill(self) -> None:
        """Kill the worker and all that it started, at once."""
        self.process.kill()

    def close(self) -> None:
        """Let the worker leave by closing its pipe, and kill what has not left after a short grace."""
        self.resume()  # a stopped process does not leave
        self.process.servers()  # they are not found once it has left
        with contextlib.suppress(OSError):
            os.close(self._requests)
        self.process.close()
        os.close(self._replies)

    def kill_and_close(self) -> None:
        """End a worker that is not needed any more, paused or not."""
        self.kill()
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.kill()
        self.close()


# How every conversation with a worker begins: import the framework once, then build programs.


class Conversation:
    """Imports a backend's framework in a worker, once, and builds programs there.

    Every method raises what :meth:`Session.receive` raises.
    """

    def __init__(self, session: Session, backend: str, threads: int) -> None:
        self.session = session
        self._question = protocol.Describe(backend, threads)
        self._asked = False
        self._described: protocol.Described | None = None

    def describe(self) -> protocol.Described:
        """Import the framework, at the first call, and return what the backend reports about itself."""
        if self._described is None:
            self._ask()
            described = self.session.receive(protocol.Described)
            if described.protocol != protocol.VERSION:
                raise HarnessError(
                    f"its dl-harness speaks protocol {described.protocol}, this one {protocol.VERSION}; "
                    "install the same dl-harness for its interpreter"
                )
            self._described = described
        return self._described

    def request_program(self, plan: Plan, dataset: str) -> None:
        """Have the worker import and build without waiting; :meth:`receive_program` waits."""
        self._ask()
        self.session.send(protocol.Build(plan, dataset))

    def receive_program(self) -> protocol.Built:
        """Wait for the program of :meth:`request_program`."""
        self.describe()
        return self.session.receive(protocol.Built)

    def build(self, plan: Plan, dataset: str) -> protocol.Built:
        """Build a program of this plan on a data set, in place of any before it."""
        self.describe()
        return self.session.call(protocol.Build(plan, dataset), protocol.Built)

    def _ask(self) -> None:
        if not self._asked:
            self._asked = True
            self.session.send(self._question)
