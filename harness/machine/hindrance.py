"""How long others kept processes from a CPU: time for which their own clocks are not to blame."""

import contextlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from harness.machine.disturbance import between, busy_seconds, cpu_seconds, read_counters
from harness.machine.process_groups import with_descendants

#: The kernel samples what a CPU does in ticks of 10 ms or less: how far its counter may be off, per CPU.
_ERROR_SECONDS = 0.02


class Hindrance:
    """The hindrance of these processes, all that they started and this thread, since the last question.

    On Linux it is the time that their threads waited for a CPU, as the scheduler counts it, as far as others
    can have caused it, plus what the hypervisor and the control group's quota took. The threads of a program
    wait for each other, too, where it has more of them than CPUs, as TensorFlow does. Where the scheduler
    reports no waits, the CPU time of other programs takes their place.
    """

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = list(pids)
        theirs = with_descendants(self._pids)
        # This thread works between their answers, and reads these very counters: it is not another program.
        ours = {os.getpid(), *theirs}
        self._theirs = Party(theirs, ours)
        # It may use other CPUs, and wait for them.
        own = None if os.getpid() in theirs else threading.get_native_id()
        self._own = Party({os.getpid()}, ours, own) if own is not None else None
        self._counters = read_counters(self._pids)

    def seconds(self) -> float:
        """Since the last call, or the creation."""
        before, self._counters = self._counters, read_counters(self._pids)
        disturbance = between(before, self._counters)
        theirs = with_descendants(self._pids)
        ours = {os.getpid(), *theirs}
        waits = [self._theirs.hindered(theirs, ours)]
        if self._own is not None:
            waits.append(self._own.hindered({os.getpid()}, ours))
        known = [wait for wait in waits if wait is not None]
        taken = sum(known) if known else disturbance.others_seconds
        return max(0.0, disturbance.stolen_seconds + disturbance.throttled_seconds + taken)


class _State(NamedTuple):
    """Seconds that each thread ran and waited, that each CPU was busy, and that all of ours ran."""

    ran: dict[str, float]
    waited: dict[str, float]
    cpus: set[int]
    busy: dict[int, float]
    ours: float


class Party:
    """Processes that wait for the same CPUs, or one of their threads."""

    def __init__(self, waiting: set[int], ours: set[int], thread: int | None = None) -> None:
        self._thread = thread
        self._last = _read(waiting, ours, thread)
        self._balance = _ERROR_SECONDS * len(self._last.cpus)

    def hindered(self, waiting: set[int], ours: set[int]) -> float | None:
        """Seconds that others kept these processes waiting since the last call, or the creation.

        The work of ``ours`` on their CPUs is no disturbance. None if the kernel reports no waits.
        """
        last, now = self._last, _read(waiting, ours, self._thread)
        self._last = now
        if not now.waited:
            return None
        ran, waited = _increase(last.ran, now.ran), _increase(last.waited, now.waited)
        own = max(0.0, now.ours - last.ours)
        # A thread waited for others of ours for no longer than they ran. The scheduler's figures are exact.
        certain = max(wait - max(0.0, own - ran[thread]) for thread, wait in waited.items())
        others = sum(now.busy.get(cpu, 0.0) - last.busy.get(cpu, 0.0) for cpu in now.cpus) - own
        return self._explained(max(0.0, certain), sum(waited.values()), others)

    def _explained(self, certain: float, waited: float, others: float) -> float:
        """The part of the waiting that the CPU time of others explains.

        What they used in earlier intervals explains no more of it than the error of the counters.
        """
        balance = self._balance + others
        explained = max(certain, min(waited, balance))
        error = _ERROR_SECONDS * len(self._last.cpus)
        self._balance = min(error, max(-error, balance - explained))
        return explained


def _read(waiting: set[int], ours: set[int], thread: int | None) -> _State:
    ran, waited = _read_threads(waiting)
    if thread is not None:
        ran, waited = ({key: of[key] for key in of if key == str(thread)} for of in (ran, waited))
    cpus: set[int] = set().union(*map(_cpus_of, ran))
    return _State(ran, waited, cpus, busy_seconds(), sum(map(cpu_seconds, ours)))


def _increase(before: dict[str, float], now: dict[str, float]) -> dict[str, float]:
    """By how much each counter has increased; a new one began at 0."""
    return {name: max(0.0, value - before.get(name, 0.0)) for name, value in now.items()}


def _read_threads(pids: Iterable[int]) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds that each thread ran, and was ready to run and had no CPU; empty where it is not reported."""
    ran, waited = {}, {}
    for pid in pids:
        with contextlib.suppress(OSError):  # it has ended
            for thread in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(OSError, ValueError):
                    # proc(5): time on the CPU, time waiting for it, number of time slices
                    own, wait, slices = map(int, (thread / "schedstat").read_text().split())
                    if slices:  # all are 0 in a kernel that does not keep them
                        ran[thread.name], waited[thread.name] = own / 1e9, wait / 1e9
    return ran, waited


def _cpus_of(thread: str) -> set[int]:
    """The CPUs that a thread may use."""
    try:
        return os.sched_getaffinity(int(thread))
    except OSError:  # it has ended
        return set()
