"""How this thread waited for a CPU, and how often the main thread of another process lost its own (Linux)."""

from pathlib import Path
from typing import NamedTuple

_OWN_SCHEDULE = Path("/proc/thread-self/schedstat")
_PREEMPTIONS = "nonvoluntary_ctxt_switches:"


class Waits(NamedTuple):
    """Seconds that this thread was ready to run and had no CPU, and how often the other one was preempted."""

    own_seconds: float
    preemptions: int


class MainThreads:
    """This thread, and the main thread of the process with this id."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._last = self._read()

    def since(self) -> Waits | None:
        """Since the last call, or the creation; None if the kernel does not report it."""
        last, self._last = self._last, self._read()
        if last is None or self._last is None:
            return None
        return Waits(self._last.own_seconds - last.own_seconds, self._last.preemptions - last.preemptions)

    def _read(self) -> Waits | None:
        try:
            # proc(5): time on the CPU, time waiting for it, number of time slices
            _, waited, slices = map(int, _OWN_SCHEDULE.read_text().split())
            if not slices:  # all are 0 in a kernel that does not keep them
                return None
            _, _, preemptions = self._status.read_text().partition(_PREEMPTIONS)
            return Waits(waited / 1e9, int(preemptions.split()[0]))
        except (OSError, ValueError, IndexError):  # another system, or the process has ended
            return None
