"""Processes that lead a group of their own, so that all that they start can be ended with them."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

#: Ends a process group once standard input is closed, which is when its parent has died, however it died;
#: and the processes beyond the group that the last line there has named.
_WATCH = 'while read -r line; do beyond=$line; done; kill -s KILL -- "-$1" $beyond'
GUARD = ["/bin/sh", "-c", _WATCH, "guard"]


def guard_of(group: int) -> subprocess.Popen[bytes]:
    """Ends the group when this process dies; :func:`dismiss` it first where the group has ended.

    Raises:
        OSError: it cannot be started.
    """
    return subprocess.Popen(
        [*GUARD, str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def tell(guard: subprocess.Popen[bytes], beyond: Iterable[int]) -> None:
    """Name the processes beyond the group that are to end with it."""
    if guard.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            guard.stdin.write(" ".join(map(str, beyond)).encode() + b"\n")
            guard.stdin.flush()


def dismiss(guard: subprocess.Popen[bytes]) -> None:
    """End a guard, and not the group that it watched."""
    guard.kill()
    guard.communicate()


def end_group(group: int) -> None:
    """End all processes of a group at once."""
    # macOS calls it a lack of permission where a group has ended.
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
    """What a command says. Nothing that it started is left, also where it hangs or this process dies.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it took longer, and was ended.
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
        stack.callback(end_group, process.pid)
        with contextlib.suppress(OSError):  # a command may do without
            stack.callback(dismiss, guard_of(process.pid))
        out, err = process.communicate(timeout=timeout_seconds)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def with_descendants(pids: Iterable[int]) -> set[int]:
    """These processes and all that they have started, where the kernel tells of children (Linux)."""
    found: set[int] = set()
    left = list(pids)
    while left:
        pid = left.pop()
        if pid not in found:
            found.add(pid)
            for thread in _threads(pid):
                with contextlib.suppress(OSError):
                    left += map(int, (thread / "children").read_text().split())
    return found


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
