"""The operating system's side of a worker: its process, what that started, its log, its death."""

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Protocol

import psutil

from harness.core.machine.cpus import bound_to_cpus
from harness.core.machine.guarded_folder import GuardedFolder
from harness.core.machine.pipes import OutputLog
from harness.core.machine.processes import (
    bind_all,
    kill_group,
    kill_marked,
    new_mark,
    release_guard,
    start_guard,
    update_guard,
    with_descendants,
)
from harness.core.machine.usage import cpu_seconds, queued_seconds
from harness.core.machine.worker_variables import untraced
from harness.errors import HarnessError, NoWorkersHere, WorkerLost

_GRACE_SECONDS = 5.0
#: Long enough for the kernel to release the memory of a large process.
_DYING_SECONDS = 60.0
_STOP_POLL_SECONDS = 0.0005
#: A process that waits wakes up now and then, which takes less than this in the time that it is watched.
_WORK_CPU_SECONDS, _WORK_POLL_SECONDS = 0.02, 0.1
_ENDLESS_CPU_SECONDS = 3600.0


class Child(Protocol):
    """A process that this one has started, or had another one start: a part of :class:`subprocess.Popen`."""

    returncode: int | None

    @property
    def pid(self) -> int:
        """The process id, which no other process gets before :meth:`wait` or :meth:`poll` reports the end."""

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal; None while the process lives."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, and return the exit status."""


#: Starts a process with these variables and this log: ``start(variables, mark, log)``.
Start = Callable[[Mapping[str, str], str, IO[bytes]], Child]


def started(command: Sequence[str], cpus: Iterable[int], descriptors: Sequence[int]) -> Start:
    """Start a command, bound to these CPUs; it inherits the descriptors."""

    def start(variables: Mapping[str, str], mark: str, log: IO[bytes]) -> Child:
        with bound_to_cpus(cpus):
            return subprocess.Popen(
                command,
                env={**untraced(os.environ), **variables, mark: "1"},
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    return start


class WorkerProcess:
    """A process with a group of its own: Ctrl-C reaches the parent alone, and the group is killed as one.

    Frameworks also start servers in groups of their own. They are looked up among the descendants, and
    stop, continue and end with the worker. Those that left its descendants, too, are found by a variable that
    every process inherits.
    """

    def __init__(self, name: str, start: Start, variables: Mapping[str, str]) -> None:
        """Have ``start`` start the process with these variables; ``name`` is for messages."""
        self._log = _open_log()
        self.mark = new_mark()
        self._folder = GuardedFolder("worker")
        self._servers_seen: set[psutil.Process] = set()
        try:
            # A folder for temporary files; a worker's own variables come before it.
            temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self._folder.path))
            self._process = start({**temporary, **variables}, self.mark, self._log.file)
        except (OSError, HarnessError) as error:
            self._log.close()
            self._folder.close()
            if isinstance(error, HarnessError):
                raise
            raise HarnessError(f"cannot start {name}: {error.strerror}") from error
        try:
            self._guard = start_guard(self._process.pid, self.mark)
        except OSError as error:
            kill_group(self._process.pid)
            self._process.wait()
            self._log.close()
            self._folder.close()
            name = error.filename or "a program"
            raise NoWorkersHere(f"cannot start {name}, the guard of a worker: {error.strerror}") from error

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def has_ended(self) -> bool:
        """Check whether the process is dead."""
        return self._process.poll() is not None

    def is_at_work(self, within_seconds: float) -> bool:
        """Check whether the process uses the CPU, or waits for it, for at most so long; False without /proc.

        One that has taken an hour of CPU time may be in an endless loop, and counts as not at work.
        """
        before, queued = self._cpu_seconds(), self._queued_seconds()
        until = time.monotonic() + within_seconds
        while before < _ENDLESS_CPU_SECONDS and time.monotonic() < until and not self.has_ended():
            time.sleep(_WORK_POLL_SECONDS)
            if self._cpu_seconds() - before > _WORK_CPU_SECONDS:
                return True
            if self._queued_seconds() - queued > within_seconds / 2:  # others leave it no CPU
                return True
        return False

    def _cpu_seconds(self) -> float:
        return math.fsum(map(cpu_seconds, with_descendants([self.pid])))

    def _queued_seconds(self) -> float:
        """Return the longest wait of one thread: many that poll and wait a little are not at work."""
        return max(map(queued_seconds, with_descendants([self.pid])), default=0.0)

    def stop(self) -> None:
        """Stop it and all that it started, threads that spin included (SIGSTOP). Returns when it has stopped.

        Only on Linux, where a stopped process still ends with its parent. Elsewhere it is left waiting.
        """
        if sys.platform == "linux" and not self.has_ended():
            self._signal(signal.SIGSTOP)
            self._wait_until_stopped()

    def _wait_until_stopped(self) -> None:
        """Wait: a busy machine delivers a signal late, and the next process would run beside this one."""
        stopped_or_ended = os.WSTOPPED | os.WEXITED | os.WNOWAIT | os.WNOHANG
        until = time.monotonic() + _GRACE_SECONDS
        with contextlib.suppress(ChildProcessError):  # of a template; no time is judged then
            while os.waitid(os.P_PID, self.pid, stopped_or_ended) is None and time.monotonic() < until:
                time.sleep(_STOP_POLL_SECONDS)

    def resume(self) -> None:
        """Let a stopped process continue."""
        if sys.platform == "linux" and not self.has_ended():
            self._signal(signal.SIGCONT)

    def move_to(self, cpus: Iterable[int]) -> None:
        """Bind a stopped process and all that it started to these CPUs (Linux)."""
        try:
            bind_all([self.pid, *(server.pid for server in self.servers())], cpus)
        except OSError as error:
            raise NoWorkersHere(f"cannot move a worker to its CPUs: {error.strerror}") from error

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)
        for server in self.servers():
            with contextlib.suppress(psutil.Error):
                server.send_signal(number)

    def servers(self) -> set[psutil.Process]:
        """Return the processes that it started outside its group, as far as a call of this has seen them.

        Once it has ended, nobody can look them up.
        """
        if self._process.returncode is None:  # afterwards another process may have its number
            current = set()
            for pid in with_descendants([self.pid]):
                with contextlib.suppress(OSError, psutil.Error):
                    if os.getpgid(pid) != self.pid:
                        current.add(psutil.Process(pid))
            current |= {server for server in self._servers_seen if server.is_running()}
            if current != self._servers_seen:
                self._servers_seen = current
                update_guard(self._guard, (server.pid for server in current))
        return self._servers_seen

    def last_lines(self) -> list[str]:
        """Return the last lines that the worker and its framework printed, oldest first."""
        return self._log.last_lines()

    def trim_log(self) -> None:
        """Keep what it prints from filling the disk."""
        self._log.trim()

    def cause_of_death(self) -> WorkerLost:
        """Say why a process that closed its pipe ended; kill it if it does not end soon."""
        try:
            code = self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return WorkerLost("the worker closed its pipe and did not exit", None, None)
        if code >= 0:
            return WorkerLost(f"the worker process exited with code {code}", code, None)
        name = _signal_name(-code)
        why = " (the system does this when memory runs out)" if name == "SIGKILL" else ""
        return WorkerLost(f"the worker process was killed by {name}{why}", None, name)

    def kill(self) -> None:
        """Kill it and all that it started, at once."""
        servers = self.servers()
        kill_group(self.pid)
        for server in servers:
            with contextlib.suppress(psutil.Error):
                server.kill()
        kill_marked(self.mark)
        # A process that waits in the kernel, such as for a device's driver, dies when that returns.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_DYING_SECONDS)

    def close(self) -> None:
        """Wait a moment until a process that was asked to leave has left, kill the rest, free all handles."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_SECONDS)
        self.kill()
        release_guard(self._guard)
        self._folder.close()
        self._log.close()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names
        return f"signal {number}"


def _open_log() -> OutputLog:
    try:
        return OutputLog()
    except FileNotFoundError as error:
        raise NoWorkersHere(
            "no folder for temporary files is writable, and a worker's log needs one: set TMPDIR"
        ) from error
    except OSError as error:
        raise NoWorkersHere(f"cannot write a worker's log: {error.strerror}") from error
