"""How long a process had work and no CPU to do it: time for which its own clock is not to blame."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from harness.machine.disturbance import Counters, between, read_counters
from harness.machine.process_groups import with_descendants

_Threads = dict[str, int]


class Hindrance:
    """The hindrance of these processes and all that they started, in seconds since the last question.

    On Linux it is the time that their threads waited for a CPU, as the scheduler counts it, plus what the
    hypervisor and the control group's quota took. The waits of all threads are added, so of several threads
    it is an upper bound. Where the scheduler does not report it, the CPU time of other programs takes its
    place.
    """

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = list(pids)
        self._waits = _waits(self._pids)
        self._counters: Counters = read_counters(self._pids)

    def seconds(self) -> float:
        """Since the last call, or the creation."""
        waits, counters = _waits(self._pids), read_counters(self._pids)
        disturbance = between(self._counters, counters)
        taken = disturbance.stolen_seconds + disturbance.throttled_seconds
        if waits:
            taken += sum(max(0, now - self._waits.get(thread, 0)) for thread, now in waits.items()) / 1e9
        else:
            taken += disturbance.others_seconds
        self._waits, self._counters = waits, counters
        return max(0.0, taken)


def _waits(pids: Iterable[int]) -> _Threads:
    """Nanoseconds that each thread was ready to run and had no CPU; empty where it is not reported."""
    waits: _Threads = {}
    for pid in with_descendants([os.getpid(), *pids]):
        with contextlib.suppress(OSError):  # it has ended
            for thread in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(OSError, ValueError):
                    # proc(5): time on the CPU, time waiting for it, number of time slices
                    _, waited, slices = map(int, (thread / "schedstat").read_text().split())
                    if slices:  # all are 0 in a kernel that does not keep them
                        waits[thread.name] = waited
    return waits
