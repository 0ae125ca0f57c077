"""A process as others can recognise it later: numbers of processes are used again, start times are not."""

import contextlib
import functools
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from harness.core.machine.description import this_host
from harness.core.machine.files import system_text

#: Fields of /proc/PID/stat after the name, which may contain spaces and brackets.
_STATE, _START = 0, 19
_DEAD = ("Z", "X")


class ProcessMark(msgspec.Struct, frozen=True):
    """A process: its number, when it started, and the place where that number means something.

    ``place`` is a host between two boots, and on Linux a namespace of process numbers, as a container has.
    """

    pid: int
    start: str
    place: str

    def has_ended(self) -> bool | None:
        """Check that the process has ended; None if it is elsewhere, where this process cannot know."""
        if self.place != _this_place():
            return None
        return _start_of(self.pid) != self.start

    @property
    def host(self) -> str:
        """The host of the process, for messages."""
        return self.place.partition(" boot ")[0]


def this_process() -> ProcessMark:
    """Return the mark of this process."""
    return process_mark(os.getpid())


def process_mark(pid: int) -> ProcessMark:
    """Return the mark of the process ``pid`` of this machine."""
    return ProcessMark(pid, _start_of(pid) or "", _this_place())


@functools.cache
def _this_place() -> str:
    boot, namespace = system_text(Path("/proc/sys/kernel/random/boot_id")), ""
    with contextlib.suppress(OSError):
        namespace = str(Path("/proc/self/ns/pid").readlink())
    host = this_host()
    return f"{host} boot {boot} {namespace}".strip()


def _start_of(pid: int) -> str | None:
    """Return the start of a process, in the system's own unit; None if no process ``pid`` is alive.

    Linux counts from the boot, so that a step of the wall clock changes nothing.
    """
    if sys.platform != "linux":
        return _creation_time(pid)
    fields = system_text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return None if not fields or fields[_STATE] in _DEAD else fields[_START]


def _creation_time(pid: int) -> str | None:
    import psutil  # imported late: commands that only read records do not need it

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
    except psutil.Error:
        return None


# Processes with a group of their own, so that everything they start can be killed with them.

#: Kills a process group when standard input closes, which it does when the parent dies, however it dies; and
#: the processes outside the group that the last line of standard input lists, or that have the mark.
_WATCH = """
while read -r line; do beyond=$line; done
kill -s KILL -- "-$1" $beyond
for pass in 1 2 3; do
  for file in ${2:+$(grep -ls "$2=" /proc/[0-9]*/environ)}; do
    pid=${file#/proc/}
    kill -s KILL "${pid%/environ}"
  done
done
"""
GUARD = ["/bin/sh", "-c", _WATCH, "guard"]


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies (Linux).

    The parent is the thread that started it. Elsewhere the closed pipe ends a worker.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def die_with_parent_and_keep_orphans() -> None:
    """Have the kernel kill this process when its parent dies (Linux). A worker calls this first.

    Orphans of its children become its own children, so that the parent finds and ends them with the worker.
    """
    die_with_parent()
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value)


def start_guard(group: int, mark: str = "") -> subprocess.Popen[bytes]:
    """Start a process that kills ``group`` when this process dies. Call :func:`release_guard` before that.

    With a ``mark`` it also kills all processes that have the mark, as :func:`kill_marked` does.
    """
    return subprocess.Popen(
        [*GUARD, str(group), mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def update_guard(guard: subprocess.Popen[bytes], beyond: Iterable[int]) -> None:
    """Replace the list of processes outside the group that the guard kills with it."""
    if guard.stdin is not None:
        with contextlib.suppress(BrokenPipeError, ValueError):  # another thread may have released the guard
            guard.stdin.write(" ".join(map(str, beyond)).encode() + b"\n")
            guard.stdin.flush()


def release_guard(guard: subprocess.Popen[bytes]) -> None:
    """End a guard without killing the group that it watches."""
    guard.kill()
    guard.communicate()


def kill_group(group: int) -> None:
    """Kill all processes of a group at once."""
    # macOS reports a lack of permission for a group that has ended.
    gone = (ProcessLookupError, *((PermissionError,) if sys.platform == "darwin" else ()))
    with contextlib.suppress(*gone):
        os.killpg(group, signal.SIGKILL)


def run(
    command: Sequence[str],
    timeout_seconds: float | None,
    variables: Mapping[str, str] | None = None,
    *,
    folder: Path | None = None,
    errors: str = "replace",
    follow: Callable[[str], None] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command and return its output. No process that it started survives it, or this process.

    ``follow`` gets each line of standard output as it comes; commands with ``follow`` have no time limit.
    """
    with contextlib.ExitStack() as stack:
        # Of two pipes only one can be read line by line.
        stderr = stack.enter_context(tempfile.TemporaryFile("w+", errors=errors))
        process = stack.enter_context(
            subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                errors=errors,
                start_new_session=True,
            )
        )
        stack.callback(kill_group, process.pid)
        with contextlib.suppress(OSError):  # a command can run without a guard
            stack.callback(release_guard, start_guard(process.pid))
        if follow is None:
            out, _ = process.communicate(timeout=timeout_seconds)
        else:
            out = ""
            for line in process.stdout or ():
                out += line
                follow(line.rstrip())
            process.wait()
        stderr.seek(0)
        return subprocess.CompletedProcess(command, process.returncode, out, stderr.read())


def with_descendants(pids: Iterable[int]) -> set[int]:
    """Return these processes and their descendants, where the kernel lists children (Linux)."""
    known: set[int] = set()
    queue = list(pids)
    while queue:
        pid = queue.pop()
        if pid not in known:
            known.add(pid)
            for thread in _threads(pid):
                queue += map(int, system_text(thread / "children").split())
    return known


def bind_all(pids: Iterable[int], cpus: Iterable[int]) -> None:
    """Bind every thread of these processes and of their descendants to ``cpus`` (Linux)."""
    cpus = list(cpus)
    for pid in with_descendants(pids):
        for thread in _threads(pid):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), cpus)


def _threads(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


# A mark that a process passes on to all that it starts, so that they are found however they detach.

_SWEEPS = 5
_SWEEP_SECONDS = 0.01


def new_mark() -> str:
    """Make the name of a variable that marks a process. Marked descendants keep their own marks, too."""
    return f"HARNESS_MARK_{secrets.token_hex(8)}"


def replace_mark(old: str, new: str) -> None:
    """Replace the mark of a process that was forked from one with the mark ``old`` (Linux).

    The kernel shows others the memory in which the variables lay when the process was started, so the name is
    overwritten there. Both names have the same length.
    """
    import ctypes

    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_void_p
    value = getenv(old.encode())
    ctypes.memmove(value - len(old) - 1, new.encode(), len(new))
    os.environ.pop(old)
    os.environ[new] = "1"


def kill_marked(mark: str) -> None:
    """Kill all processes of this user that were started with the variable ``mark`` (Linux)."""
    for _ in range(_SWEEPS):  # one may fork while the others are looked up
        marked = 0
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # of another user, or gone
                if f"{mark}=".encode() in (process / "environ").read_bytes():
                    marked += 1
                    os.kill(int(process.name), signal.SIGKILL)
        if not marked:
            return
        time.sleep(_SWEEP_SECONDS)
