"""The parent's handle on a worker process: start it, ask it with a time limit, and see it off."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import IO, Self, TypeVar

import msgspec
import psutil

from harness.errors import Declined, HarnessError
from harness.machine.cpus import bound_to_cpus, cpus_of
from harness.machine.worker_variables import untraced
from harness.machine.process_groups import bind_all, dismiss, end_group, guard_of, tell, with_descendants
from harness.worker import protocol

#: A worker that says nothing for so long is taken to hang. The longest silence that is legitimate
#: is a first compilation.
SILENCE_LIMIT_SECONDS = 600.0
_LAST_LINES = 20
_GRACE_SECONDS = 5.0
#: Long enough for the kernel to take a large process apart.
_DYING_SECONDS = 60.0
_POLL_SECONDS = 1.0
_STOP_POLL_SECONDS = 0.0005

_R = TypeVar("_R", bound=protocol.Reply)


class RequestFailed(HarnessError):
    """The worker lives, but a request raised in it; ``traceback`` is the worker's."""

    def __init__(self, message: str, traceback: str) -> None:
        super().__init__(message)
        self.traceback = traceback


class MemoryRanOut(RequestFailed):
    """The request took more memory than there is."""


class WorkerLost(HarnessError):
    """The worker ended by itself: by an exit, or by a signal."""

    def __init__(self, message: str, worker_exit_code: int | None, signal_name: str | None) -> None:
        super().__init__(message)
        self.worker_exit_code = worker_exit_code
        self.signal_name = signal_name


class WorkerTimeout(HarnessError):
    """The worker did not answer in time and was ended; ``silent`` where it was taken to hang."""

    def __init__(self, message: str, *, silent: bool) -> None:
        super().__init__(message)
        self.silent = silent


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has no name of its own
        return f"signal {number}"


class NoWorkersHere(HarnessError):
    """The machine lacks what every worker is started with: no fault of what the worker would have run."""


def silence_within(limit_seconds: float | None) -> float:
    """What silence a user bears who gave a worker so long: all of it, where that is more than usual."""
    return max(SILENCE_LIMIT_SECONDS, limit_seconds or 0.0)


def _open_log() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile()
    except FileNotFoundError as error:
        raise NoWorkersHere(
            "no folder for temporary files can be written to, as for a worker's log: set TMPDIR to one"
        ) from error
    except OSError as error:
        raise NoWorkersHere(f"a worker's log cannot be written: {error.strerror}") from error


class Session:
    """A worker process; use as a context manager, which leaves no process behind.

    The worker leads a process group of its own: Ctrl-C reaches the parent alone, and ending the
    group ends what the framework may have started too.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        deadline_seconds: float | None = None,
        python: str = sys.executable,
        cpus: Iterable[int] | None = None,
        silence_seconds: float | None = None,
    ) -> None:
        """Start a worker of this interpreter with these variables, on these CPUs or else on theirs.

        ``deadline_seconds`` bounds its whole life, pauses left out, counted anew from each
        :meth:`renew_deadline`; ``silence_seconds`` what it may take for one reply before it is taken to
        hang, :data:`SILENCE_LIMIT_SECONDS` without it.

        Raises:
            HarnessError: the interpreter cannot be started.
        """
        self._log = _open_log()
        requests_out, self._requests = os.pipe()
        self._replies, replies_in = os.pipe()
        self._deadline_seconds = deadline_seconds
        self._silence_seconds = SILENCE_LIMIT_SECONDS if silence_seconds is None else silence_seconds
        self._paused_at: float | None = None
        self.renew_deadline()
        self._pending = b""
        self._seen: set[psutil.Process] = set()
        # -P: a file of the user's in the current folder must not pass for a module.
        command = [python, "-P", "-m", "harness.worker", str(requests_out), str(replies_in)]
        try:
            with bound_to_cpus(cpus_of(settings) if cpus is None else cpus):
                self._process = subprocess.Popen(
                    command,
                    env={**untraced(os.environ), **settings},
                    pass_fds=(requests_out, replies_in),
                    stdin=subprocess.DEVNULL,
                    stdout=self._log,
                    stderr=self._log,
                    start_new_session=True,
                )
        except OSError as error:
            os.close(self._requests)
            self._close_ours()
            raise HarnessError(f"{python} cannot be started: {error.strerror}") from error
        finally:
            os.close(requests_out)
            os.close(replies_in)
        try:
            self._guard = guard_of(self._process.pid)
        except OSError as error:
            end_group(self._process.pid)
            self._process.wait()
            os.close(self._requests)
            self._close_ours()
            name = error.filename or "a program"
            raise NoWorkersHere(f"a worker's guard, {name}, cannot be started: {error.strerror}") from error

    def renew_deadline(self) -> None:
        """Give the worker the whole of its time once more."""
        seconds = self._deadline_seconds
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def call(self, request: protocol.Request, expected: type[_R]) -> _R:
        """Send a request and wait for its reply; raises as :meth:`receive` does."""
        self.send(request)
        return self.receive(expected)

    def send(self, request: protocol.Request) -> None:
        """Send a request, which the worker carries out when it has done with those before.

        Raises:
            WorkerLost: the process ended.
        """
        try:
            os.write(self._requests, msgspec.json.encode(request) + b"\n")
        except BrokenPipeError:
            raise self._lost() from None

    def receive(self, expected: type[_R]) -> _R:
        """Wait for the reply to the oldest request that has not had one.

        Raises:
            Declined: the backend cannot do it.
            RequestFailed: the request raised in the worker; :class:`MemoryRanOut` where it was for that.
            WorkerLost: the process ended.
            WorkerTimeout: no reply within the deadline or the limit of silence; the worker is ended.
        """
        line = self._read_line()
        try:
            reply = msgspec.json.decode(line, type=protocol.Reply)
        except msgspec.MsgspecError as error:
            raise RequestFailed(f"the worker's reply cannot be read: {error}", "") from error
        if isinstance(reply, protocol.Fault):
            if reply.unsupported:
                raise Declined(reply.message)
            failed = MemoryRanOut if reply.memory_ran_out else RequestFailed
            raise failed(reply.message, reply.traceback)
        if not isinstance(reply, expected):
            raise RequestFailed(f"{expected.__name__} expected, {type(reply).__name__} came", "")
        return reply

    def _read_line(self) -> bytes:
        silent_until = time.monotonic() + self._silence_seconds
        until = silent_until if self._deadline is None else min(silent_until, self._deadline)
        while b"\n" not in self._pending:
            wait_seconds = min(_POLL_SECONDS, max(0.0, until - time.monotonic()))
            ready, _, _ = select.select([self._replies], [], [], wait_seconds)
            if ready:
                chunk = os.read(self._replies, 1 << 16)
                if not chunk:
                    raise self._lost()
                self._pending += chunk
            elif self._process.poll() is not None:
                # A process that the framework forked can hold the pipe open after the worker died.
                raise self._lost()
            elif time.monotonic() >= until:
                self.kill()
                raise self._timeout(until)
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _timeout(self, until: float) -> WorkerTimeout:
        if until == self._deadline:
            told = f"did not end within the time limit of {self._deadline_seconds:g} s"
            return WorkerTimeout(told, silent=False)
        told = f"said nothing for {self._silence_seconds:g} s and was taken to hang"
        return WorkerTimeout(told, silent=True)

    def _lost(self) -> WorkerLost:
        try:
            code = self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return WorkerLost("the worker closed its pipe and did not end", None, None)
        if code >= 0:
            return WorkerLost(f"the worker process exited with code {code}", code, None)
        name = _signal_name(-code)
        why = " (the system does this when memory runs out)" if name == "SIGKILL" else ""
        return WorkerLost(f"the worker process was ended by {name}{why}", None, name)

    def last_lines(self) -> list[str]:
        """The last lines that the worker and its framework printed, oldest first."""
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 16384))
        text = self._log.read().decode(errors="replace")
        return text.splitlines()[-_LAST_LINES:]

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    def pause(self) -> None:
        """Stop the worker and all that it started, threads that spin included, until :meth:`resume`.

        Where the system would not end a stopped process with its parent, it is left waiting instead.
        """
        self._paused_at = time.monotonic()
        if sys.platform == "linux":
            self._signal(signal.SIGSTOP)
            self._wait_until_stopped()

    def _wait_until_stopped(self) -> None:
        """On a busy machine a signal may take its time, and the next side would begin beside this one."""
        stopped_or_ended = os.WSTOPPED | os.WEXITED | os.WNOWAIT | os.WNOHANG
        until = time.monotonic() + _GRACE_SECONDS
        while os.waitid(os.P_PID, self._process.pid, stopped_or_ended) is None and time.monotonic() < until:
            time.sleep(_STOP_POLL_SECONDS)

    def move_to(self, cpus: Iterable[int]) -> None:
        """Have a stopped worker and all that it started go on on these CPUs (Linux)."""
        try:
            bind_all([self._process.pid, *(server.pid for server in self._servers())], cpus)
        except OSError as error:
            raise NoWorkersHere(f"a worker cannot be moved to its CPUs: {error.strerror}") from error

    def resume(self) -> None:
        """Let a stopped worker go on."""
        if self._deadline is not None and self._paused_at is not None:
            self._deadline += time.monotonic() - self._paused_at
        self._paused_at = None
        if sys.platform == "linux":
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        os.killpg(self._process.pid, number)
        for server in self._servers():
            with contextlib.suppress(psutil.Error):
                server.send_signal(number)

    def _servers(self) -> set[psutil.Process]:
        """What it started in groups of their own, as frameworks do, and was ever seen to have."""
        if self._process.returncode is None:  # else another process may have its number by now
            seen = set()
            for pid in with_descendants([self._process.pid]):
                with contextlib.suppress(OSError, psutil.Error):
                    if os.getpgid(pid) != self._process.pid:
                        seen.add(psutil.Process(pid))
            left = {server for server in self._seen if server.is_running()}
            if seen | left != self._seen:
                self._seen = seen | left
                tell(self._guard, (server.pid for server in self._seen))
        return self._seen

    def kill_and_close(self) -> None:
        """End a worker of which nothing more is wanted, stopped or not."""
        self.kill()
        self.close()

    def kill(self) -> None:
        """End the worker and all that it started, at once."""
        servers = self._servers()
        end_group(self._process.pid)
        for server in servers:
            with contextlib.suppress(psutil.Error):
                server.kill()
        # One that is stuck in the kernel, as in a device's driver, dies when that lets it go.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_DYING_SECONDS)

    def close(self) -> None:
        """Let the worker leave by closing its pipe; end what has not left after a short grace."""
        self._servers()  # once it has left nobody can tell
        with contextlib.suppress(OSError):
            os.close(self._requests)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_SECONDS)
        self.kill()
        dismiss(self._guard)
        self._close_ours()

    def _close_ours(self) -> None:
        os.close(self._replies)
        self._log.close()

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
