"""A process as others can recognise it later: numbers of processes are used again, start times are not."""

import contextlib
import functools
import os
import sys
from pathlib import Path

import msgspec

from harness.machine.host import this_host

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
        """Whether the process is gone; None where this process cannot know, because it is elsewhere."""
        if self.place != _this_place():
            return None
        return _start_of(self.pid) != self.start

    @property
    def host(self) -> str:
        """The host of the process, for messages."""
        return self.place.partition(" boot ")[0]


def this_process() -> ProcessMark:
    """The mark of this process."""
    pid = os.getpid()
    return ProcessMark(pid, _start_of(pid) or "", _this_place())


@functools.cache
def _this_place() -> str:
    boot, namespace = "", ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    with contextlib.suppress(OSError):
        namespace = str(Path("/proc/self/ns/pid").readlink())
    host = this_host()
    return f"{host.name} boot {boot or host.id} {namespace}".strip()


def _start_of(pid: int) -> str | None:
    """When a process started, in the system's own unit; None if none with this number is alive.

    Linux counts from the boot, so that a step of the wall clock changes nothing.
    """
    if sys.platform != "linux":
        return _creation_time(pid)
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[_STATE] in _DEAD else fields[_START]


def _creation_time(pid: int) -> str | None:
    import psutil  # imported late: commands that only read records do not need it

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
    except psutil.Error:
        return None
