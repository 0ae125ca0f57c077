"""Workers that are forked from a template, where no time is judged: each starts with all imports made.

A template is a process with one framework and one set of variables. It learns from its workers which modules
they import, and imports these by name before it forks the next one.
"""

import contextlib
import itertools
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

import msgspec

from harness.core.machine.cpus import WORKER_CPUS, allowed_cpus
from harness.core.machine.processes import process_mark
from harness.core.worker.process import Child, Start, WorkerProcess, started
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.core.worker.session import Session

_PROGRAM = ("-P", "-c", "from harness.core.worker.template_process import main; main()")
_NEW_MODULES = "harness.core.worker.template_process:new_modules"
#: Longest import of a framework, on a machine that does much else.
_FORK_SECONDS = 600.0
#: Modules of one message, which the kernel limits to about 200 kB.
_MODULES_AT_ONCE = 500
_DYING_POLL_SECONDS = 0.01


class CannotFork(HarnessError):
    """A template cannot fork workers; the message says why."""


class _Forked:
    """A worker that a template has forked; see :class:`harness.core.worker.process.Child`."""

    def __init__(self, state: socket.socket) -> None:
        """Wait for the fork. ``state`` receives lines: the process id, later the exit status."""
        self._state, self._received = state, b""
        self._lock = threading.Lock()
        self.returncode: int | None = None
        line = self._line(_FORK_SECONDS)
        if line is None or not line.isdigit():
            state.close()
            late = f"its import takes more than {_FORK_SECONDS:g} s"
            raise CannotFork(late if line is None else line.removeprefix("!") or "its process has ended")
        self.pid = int(line)
        self._mark = process_mark(self.pid)

    def _line(self, seconds: float | None) -> str | None:
        """Wait for a line; empty once the template has ended, None if there is none yet."""
        poll = select.poll()  # select() knows no descriptors above 1023
        poll.register(self._state, select.POLLIN)
        while b"\n" not in self._received:
            if not poll.poll(None if seconds is None else 1000 * seconds):
                return None
            try:
                more = self._state.recv(4096)
            except ConnectionError:
                more = b""
            if not more:
                return ""
            self._received += more
        line, _, self._received = self._received.partition(b"\n")
        return line.decode()

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal; None while the process lives."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, and return the exit status."""
        with self._lock:  # a thread that ends all workers may wait, too
            if self.returncode is None:
                line = self._line(timeout)
                if line is None or not (line or self._dies_within(timeout)):
                    raise subprocess.TimeoutExpired("worker", timeout or 0)
                self.returncode = int(line or -signal.SIGKILL)
                self._state.close()  # the template frees the process id
            return self.returncode

    def _dies_within(self, seconds: float | None) -> bool:
        """Wait for the death of a worker whose template has ended: the kernel kills it then."""
        until = None if seconds is None else time.monotonic() + seconds
        while not self._mark.has_ended():
            if until is not None and time.monotonic() >= until:
                return False
            time.sleep(_DYING_POLL_SECONDS)
        return True


class Template:
    """A process that has imported a backend's framework, and forks workers with the same variables.

    Start it in a thread that lives longer than it: it ends with this thread, and its workers with it.
    """

    def __init__(
        self, backend: str, threads: int, variables: Mapping[str, str], *, learns: bool = True
    ) -> None:
        """Start it, without waiting for the import. Unless it ``learns``, it imports the framework alone."""
        self._learns = learns
        self.is_spoiled = False
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._pending: dict[str, str] = {}
        own = {name: value for name, value in variables.items() if name != WORKER_CPUS}
        self._orders, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, *_PROGRAM, str(other.fileno()), backend, str(threads)]
        try:
            self.process = WorkerProcess(
                "a template of workers", started(command, allowed_cpus(), [other.fileno()]), own
            )
        except HarnessError:
            self._orders.close()
            raise
        finally:
            other.close()

    def start(self, cpus: Iterable[int], descriptors: Sequence[int]) -> Start:
        """Fork a worker, bound to these CPUs, with the descriptors of its requests and its replies.

        Raises (when called):
            CannotFork: the framework cannot be forked, or the template has ended.
        """

        def start(variables: Mapping[str, str], mark: str, log: IO[bytes]) -> Child:
            from harness.core.worker.template_process import Fork

            ours, its = socket.socketpair()
            order = Fork(dict(variables), mark, self.process.mark, list(cpus))
            with its, contextlib.ExitStack() as unsent:
                unsent.enter_context(ours)
                self._send_modules()
                self._send(order, [*descriptors, log.fileno(), its.fileno()])
                unsent.pop_all()
            return _Forked(ours)

        return start

    def _send_modules(self) -> None:
        from harness.core.worker.template_process import Import

        with self._lock:
            pending, self._pending = self._pending, {}
        modules = iter(pending.items())
        while some := dict(itertools.islice(modules, _MODULES_AT_ONCE)):
            self._send(Import(some), [])

    def _send(self, order: msgspec.Struct, descriptors: Sequence[int]) -> None:
        try:
            socket.send_fds(self._orders, [msgspec.json.encode(order)], descriptors)
        except OSError as error:
            raise CannotFork("its process has ended") from error

    def learn_from(self, session: "Session") -> None:
        """Note what a worker of this template has imported, for the workers to come."""
        if not self._learns:
            return
        modules = session.operate(_NEW_MODULES, None, dict[str, str])
        with self._lock:
            self._pending |= {name: file for name, file in modules.items() if name not in self._known}
            self._known |= modules.keys()

    @property
    def has_learned(self) -> bool:
        """Check whether it was asked to import more than the framework."""
        return bool(self._known - self._pending.keys())

    def close(self) -> None:
        """End it, and all its workers."""
        self._orders.close()
        self.process.close()

    def kill(self) -> None:
        """Kill it at once, and with it all its workers."""
        self.process.kill()


class Templates:
    """The templates of a command, one for each backend, number of threads and set of variables.

    A backend that cannot be forked gets fresh processes from then on; :attr:`reasons` says why.
    """

    def __init__(self) -> None:
        self._templates: dict[tuple[object, ...], Template] = {}
        self._spoiled: list[Template] = []
        self._lock = threading.Lock()
        self.reasons: dict[str, str] = {}

    def template(self, backend: str, threads: int, variables: Mapping[str, str]) -> Template | None:
        """Return the template for such workers, started if there is none; None where they cannot be forked.

        Call it in a thread that lives as long as this object.
        """
        if sys.platform != "linux" or backend in self.reasons:
            return None
        own = sorted((name, value) for name, value in variables.items() if name != WORKER_CPUS)
        key = (backend, threads, *own)
        with self._lock:
            known = self._templates.get(key)
            if known is None or known.is_spoiled:
                self._templates[key] = Template(backend, threads, variables, learns=known is None)
                if known is not None:
                    self._spoiled.append(known)  # workers of it may still be at work
            return self._templates[key]

    def give_up(self, backend: str, template: Template, error: CannotFork) -> None:
        """Fork no more from a template.

        If only modules that it has learned can be the cause, another one takes its place and learns none.
        """
        if template.has_learned:
            template.is_spoiled = True
        else:
            self.reasons.setdefault(backend, str(error))

    def kill(self) -> None:
        """Kill all templates at once, those that still import among them, and with them all workers."""
        for template in (*self._templates.values(), *self._spoiled):
            template.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        for template in (*self._templates.values(), *self._spoiled):
            template.close()
