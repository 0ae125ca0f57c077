"""Processes with a group of their own, so that everything they start can be killed with them."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

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


def start_guard(group: int, mark: str = "") -> subprocess.Popen[bytes]:
    """Start a process that kills the group when this process dies. Call :func:`release_guard` before that.

    With a ``mark`` it also kills all that have it, as :func:`harness.machine.marks.kill_marked` does.

    Raises:
        OSError: it cannot be started.
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
        with contextlib.suppress(BrokenPipeError):
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
) -> subprocess.CompletedProcess[str]:
    """Run a command and return its output. Nothing that it started survives it, or this process.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it took longer, and was killed.
    """
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors=errors,
                start_new_session=True,
            )
        )
        stack.callback(kill_group, process.pid)
        with contextlib.suppress(OSError):  # a command can run without a guard
            stack.callback(release_guard, start_guard(process.pid))
        out, err = process.communicate(timeout=timeout_seconds)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def with_descendants(pids: Iterable[int]) -> set[int]:
    """These processes and all that they have started, where the kernel lists children (Linux)."""
    known: set[int] = set()
    queue = list(pids)
    while queue:
        pid = queue.pop()
        if pid not in known:
            known.add(pid)
            for thread in _threads(pid):
                with contextlib.suppress(OSError):
                    queue += map(int, (thread / "children").read_text().split())
    return known


def bind_all(pids: Iterable[int], cpus: Iterable[int]) -> None:
    """Bind every thread of these processes and of all that they have started to these CPUs (Linux)."""
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
