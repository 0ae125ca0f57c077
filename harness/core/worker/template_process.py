"""The process from which workers are forked: it has imported a framework, and has run no operation of it.

It calls ``main`` with the arguments SOCKET_FD BACKEND THREADS. A worker that is forked from it sees what a
worker sees that has just made the same imports: nothing has to be reset, because nothing but imports has
happened. Three conditions are checked before each fork: no import has failed, since a part of the module may
be left; the process has one thread, since a fork copies only the thread that calls it; and it holds no GPU,
since a driver's connection cannot be copied.
"""

import contextlib
import gc
import importlib
import importlib.util
import os
import select
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

import msgspec

from harness.core.machine.files import system_text
from harness.core.machine.processes import die_with_parent, replace_mark
from harness.core.worker import protocol
from harness.core.worker.requests import Worker
from harness.core.worker.serving import serve

#: The longest message of the parent: the names of all modules of a framework.
MESSAGE_BYTES = 1 << 20
#: Names of modules with the files that define them; empty for a module that is part of the interpreter.
Modules = dict[str, str]


class Import(msgspec.Struct, frozen=True, tag=True):
    """Import these modules by their names, if these find the same files."""

    modules: Modules


class Fork(msgspec.Struct, frozen=True, tag=True):
    """Fork a worker with these variables in addition, bound to these CPUs.

    The message carries the descriptors of its requests, its replies, its log, and of a socket for its state:
    a line with its process id, or with ``!`` and the reason why it was not forked; then a line with its exit
    status. The process is a zombie until the other end is closed.
    """

    variables: dict[str, str]
    mark: str
    """Takes the place of ``template_mark``: see :func:`harness.core.machine.processes.new_mark`."""
    template_mark: str
    cpus: list[int]


Order = Import | Fork

#: The modules that this process had when it was last forked.
_present: frozenset[str] = frozenset()


def new_modules(_worker: object, _arguments: msgspec.Raw) -> Modules:
    """Return the modules that a worker has imported since it was forked, for :class:`Import`.

    They are in the order in which their imports began: some fail if a module that they import comes first.
    """
    found = {name: _origin(name) for name in list(sys.modules) if name not in _present}
    return {name: origin for name, origin in found.items() if origin is not None}


def _origin(name: str) -> str | None:
    spec = getattr(sys.modules[name], "__spec__", None)
    if spec is None or spec.name != name or name == "__main__":
        return None
    return spec.origin if isinstance(spec.origin, str) else None


#: Threads whose libraries stop them before a fork and start them again after it, by handlers of their own.
_SURVIVING = {"jemalloc_bg_thd"}
_GPUS = ("/dev/nvidia", "/dev/kfd", "/dev/dri")


def why_not_alone() -> str:
    """Say why this process cannot be forked as it is; empty if it can."""
    names = {task.name: system_text(task / "comm") for task in Path("/proc/self/task").iterdir()}
    names.pop(str(os.getpid()))
    if others := sorted(set(names.values()) - {*_SURVIVING, ""}):  # a thread that has just ended has no name
        return f"its import starts threads ({', '.join(others)})"
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if str(descriptor.readlink()).startswith(_GPUS):
                return "its import opens a GPU"
    return ""


class _Template:
    """The loop of the process, and its living workers by process id, with the sockets for their states."""

    def __init__(self, orders: socket.socket, failure: str) -> None:
        self._orders = orders
        #: The first import that failed, as :func:`_failure_of` says it; empty if none did.
        self._failure = failure
        self._children: dict[int, socket.socket] = {}
        self._ended: set[int] = set()
        # Only wakes up the loop when a worker ends.
        self._wakeups = os.pipe()
        for descriptor in self._wakeups:
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wakeups[1], warn_on_full_buffer=False)

    def run(self) -> None:
        """Carry out orders until the parent closes the socket."""
        while True:
            watched: list[socket.socket | int] = [
                self._orders,
                self._wakeups[0],
                *(self._children[pid] for pid in self._ended),
            ]
            ready, _, _ = select.select(watched, [], [])
            if self._wakeups[0] in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wakeups[0], 4096)
            self._report_ended()
            self._reap(ready)
            if self._orders in ready:
                message, descriptors, _, _ = socket.recv_fds(self._orders, MESSAGE_BYTES, 4)
                if not message:
                    return
                self._carry_out(msgspec.json.decode(message, type=Order), descriptors)

    def _carry_out(self, order: Order, descriptors: list[int]) -> None:
        match order:
            case Import(modules):
                for name, origin in modules.items():
                    self._failure = self._failure or _failure_of(partial(_import, name, origin))
            case Fork():
                self._fork(order, descriptors)

    def _fork(self, order: Fork, descriptors: list[int]) -> None:
        global _present  # noqa: PLW0603  the worker that is forked reads it
        requests, replies, log, state_descriptor = descriptors
        state = socket.socket(fileno=state_descriptor)
        pid, reason = 0, self._failure or why_not_alone()
        if not reason:
            _present = frozenset(sys.modules)
            gc.collect()
            gc.freeze()  # a worker's collections need not look at what never becomes garbage
            parent = os.getpid()
            try:
                pid = os.fork()
            except OSError as error:  # the limit of processes, or no memory
                reason = f"its process cannot be forked: {error.strerror}"
            else:
                if not pid:
                    state.close()
                    self._live_as_worker(order, parent, requests, replies, log)
        with contextlib.suppress(OSError):  # the parent has closed it
            state.send(f"!{reason}\n".encode() if reason else f"{pid}\n".encode())
        if reason:
            state.close()
        else:
            self._children[pid] = state
        for descriptor in (requests, replies, log):
            os.close(descriptor)

    def _live_as_worker(self, order: Fork, parent: int, requests: int, replies: int, log: int) -> NoReturn:
        """Serve, then exit: whatever is raised, nothing may return into the loop of the template."""
        try:
            self._become_worker(order, parent, requests, replies, log)
        except BaseException:  # noqa: BLE001  a fresh process prints it, too
            traceback.print_exc()
            sys.stdout.flush()
        finally:
            os._exit(1)

    def _become_worker(self, order: Fork, parent: int, requests: int, replies: int, log: int) -> NoReturn:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        die_with_parent()
        if os.getppid() != parent:
            os._exit(1)  # the parent ended before
        for each in (self._orders, *self._children.values()):
            each.close()
        for descriptor in self._wakeups:
            os.close(descriptor)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.close(log)
        os.sched_setaffinity(0, order.cpus)
        replace_mark(order.template_mark, order.mark)
        os.environ.update(order.variables)
        tempfile.tempdir = None  # another folder, of the new variables
        _draw_new_entropy()
        sys.argv[1:] = [str(requests), str(replies)]
        serve(requests, replies)

    def _report_ended(self) -> None:
        for pid in self._children.keys() - self._ended:
            found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
            if found is not None:
                killed = found.si_code != os.CLD_EXITED
                with contextlib.suppress(OSError):
                    self._children[pid].send(f"{-found.si_status if killed else found.si_status}\n".encode())
                self._ended.add(pid)

    def _reap(self, ready: Sequence[object]) -> None:
        """Free the process id of a worker that has ended and that the parent has closed."""
        for pid in [pid for pid in self._ended if self._children[pid] in ready]:
            os.waitpid(pid, 0)
            self._children.pop(pid).close()
            self._ended.discard(pid)


def _draw_new_entropy() -> None:
    """Seed NumPy's global generator, as its import does; Python seeds its own after each fork."""
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()


def _import(name: str, origin: str) -> None:
    """Import a module by its name, if it is found in the same file."""
    if name not in sys.modules:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin == origin:
            importlib.import_module(name)


def _failure_of(imports: Callable[[], object]) -> str:
    """Call what imports modules, and say why it failed; empty if it did not."""
    try:
        imports()
    except BaseException as error:  # noqa: BLE001  the code of a module may raise anything
        return f"its import fails ({type(error).__name__})"
    return ""


def main() -> None:
    """Import the framework, then fork workers until the parent closes the socket."""
    die_with_parent()
    orders = socket.socket(fileno=int(sys.argv[1]))
    # A backend that cannot be imported says so in fresh workers, too.
    describe = protocol.Describe(sys.argv[2], int(sys.argv[3]))
    _Template(orders, _failure_of(lambda: Worker().carry_out(describe))).run()
    os._exit(0)
