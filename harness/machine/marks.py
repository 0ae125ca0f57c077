"""A mark that a process passes on to all that it starts, so that they are found however they detach."""

import contextlib
import os
import secrets
import signal
import time
from pathlib import Path

_SWEEPS = 5
_SWEEP_SECONDS = 0.01


def new_mark() -> str:
    """The name of a variable to set for a process. Marked processes within others keep their marks, too."""
    return f"HARNESS_MARK_{secrets.token_hex(8)}"


def kill_marked(mark: str) -> None:
    """Kill all processes of this user that were started with this variable, where ``/proc`` is (Linux)."""
    for _ in range(_SWEEPS):  # one may fork while the others are looked up
        marked = [pid for pid in _pids() if f"{mark}=".encode() in _environment(pid)]
        for pid in marked:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if not marked:
            return
        time.sleep(_SWEEP_SECONDS)


def _pids() -> list[int]:
    try:
        return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    except OSError:
        return []


def _environment(pid: int) -> bytes:
    """The variables with which a process was started; empty for those of other users and the dead."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
