"""What a process tree, and other programs on its CPUs, used of the machine between two moments (Linux)."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from harness.machine.disturbance import busy_seconds, cpu_seconds
from harness.machine.process_groups import with_descendants

#: Processes are looked up again after this time: with many threads that takes a millisecond.
_LOOKUP_SECONDS = 0.2


class Usage(NamedTuple):
    """Seconds between two moments.

    ``own`` is the CPU time of the process and all that it started, ``others`` that of other programs on its
    CPUs. ``delay`` is how long its main thread and this thread were ready to run and had no CPU, as far as
    others can have caused it.
    """

    own: float
    others: float
    delay: float


class _State(NamedTuple):
    own: dict[int, float]
    busy: float
    this_thread: float
    waited: float | None


class UsageMeter:
    """Measures the usage of a process and its descendants on these CPUs."""

    def __init__(self, pid: int, cpus: Iterable[int]) -> None:
        self._pid, self._cpus = pid, set(cpus)
        self._known: set[int] = {pid}
        self._looked_up = float("-inf")
        self._begun: _State
        self.begin()

    def begin(self) -> None:
        """Measure from now on."""
        self._begun = self._read()

    def end(self) -> Usage:
        """The usage since :meth:`begin`. The kernel counts that of CPUs in ticks of 10 ms."""
        before, now = self._begun, self._read()
        own = sum(max(0.0, seconds - before.own.get(pid, 0.0)) for pid, seconds in now.own.items())
        ours = own + now.this_thread - before.this_thread
        others = now.busy - before.busy - ours
        if before.waited is None or now.waited is None:
            return Usage(own, others, max(0.0, others))
        return Usage(own, others, max(0.0, now.waited - before.waited))

    def _read(self) -> _State:
        if time.monotonic() - self._looked_up > _LOOKUP_SECONDS:
            self._known, self._looked_up = with_descendants([self._pid]), time.monotonic()
        own = {pid: cpu_seconds(pid) for pid in self._known}
        busy = busy_seconds()
        waits = [_waited(Path(f"/proc/{name}/schedstat")) for name in (self._pid, "thread-self")]
        known = [wait for wait in waits if wait is not None]
        return _State(
            own,
            sum(busy.get(cpu, 0.0) for cpu in self._cpus),
            time.thread_time(),
            sum(known) if len(known) == len(waits) else None,
        )


def _waited(schedule: Path) -> float | None:
    """Seconds that a thread was ready to run and had no CPU; None if the kernel does not keep them."""
    try:
        # proc(5): time on the CPU, time waiting for it, number of time slices
        _, waited, slices = map(int, schedule.read_text().split())
    except (OSError, ValueError):
        return None
    return waited / 1e9 if slices else None
