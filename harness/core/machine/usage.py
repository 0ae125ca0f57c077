"""Usage of the machine between two moments by a process tree, and by other programs on its CPUs (Linux)."""

import math
import os
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.core.machine.cpus import PROCESSOR_TIMES, allowed_cpus
from harness.core.machine.files import system_text
from harness.core.machine.processes import with_descendants

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
#: A block is disturbed if others took more than usual by this share of one core, and by more than the error
#: of the kernel's counters: they count in ticks of 10 ms, at the same moments on all CPUs, and a tick may
#: fall just inside or outside of the block.
_TOLERATED_SHARE = 0.1
_FEWEST_TOLERATED_TICKS = 2


class Counters(NamedTuple):
    """CPU seconds since the machine started: of all processes and other guests of its host, and of ours."""

    busy: float
    ours: float
    at: float


def read_counters(pids: Iterable[int] = (), cpus: Iterable[int] | None = None) -> Counters:
    """Read the counters of ``cpus``, by default of the allowed CPUs; zeros without /proc.

    The CPU time of this process, of the processes ``pids``, and of all their descendants counts as ours.
    """
    busy = busy_seconds()
    if not busy:
        return Counters(0.0, 0.0, time.monotonic())
    watched = math.fsum(busy.get(cpu, 0.0) for cpu in (allowed_cpus() if cpus is None else cpus))
    ours = math.fsum(map(cpu_seconds, with_descendants([os.getpid(), *pids])))
    return Counters(watched, ours, time.monotonic())


def busy_seconds() -> dict[int, float]:
    """Return the time in seconds for which each CPU worked, for any process or other guests of its host.

    Empty without /proc.
    """
    seconds = {}
    for name, *words in map(str.split, system_text(PROCESSOR_TIMES).splitlines()):
        if name.startswith("cpu") and name != "cpu":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, words[:8])
            seconds[int(name[3:])] = (user + nice + system + irq + softirq + steal) / _TICKS_PER_SECOND
    return seconds


def cpu_seconds(pid: int) -> float:
    """Sum the CPU time of a process's threads and ended children, in seconds; 0 for a process waited for."""
    after_name = system_text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    if not after_name:
        return 0.0
    user, system, *children = (int(ticks) / _TICKS_PER_SECOND for ticks in after_name[11:15])
    try:
        own = time.clock_gettime(~pid << 3 | 2)  # its CPU clock, as of clock_getcpuclockid(3)
    except OSError:  # not every sandbox has it
        own = user + system
    return own + sum(children)


def queued_seconds(pid: int) -> float:
    """Return the longest wait for a CPU of a thread of a process, in seconds; 0 where it is not counted."""
    texts = map(system_text, Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return max((int(text.split()[1]) / 1e9 for text in texts if text), default=0.0)


def between(before: Counters, after: Counters) -> float:
    """Compute the CPU seconds that others used between two readings."""
    return max(0.0, (after.busy - before.busy) - (after.ours - before.ours))


def disturbed(others: list[float], seconds: list[float], threads: int = 1) -> list[bool]:
    """Flag the blocks to drop. A block's own duration never decides.

    A block is dropped if others took more CPU time from it than is usual among the blocks: a burst of load
    meets one block and not the next. A constant load is reported instead. Pass the blocks of one
    configuration: a constant load may affect configurations unequally, because a configuration with fewer
    threads leaves it a CPU. Each of its ``threads`` adds the error of one CPU's ticks.
    """
    usual_share = statistics.median(own / length for own, length in zip(others, seconds, strict=True))
    tolerated = max(_FEWEST_TOLERATED_TICKS, threads) / _TICKS_PER_SECOND
    return [
        own - usual_share * length > max(tolerated, _TOLERATED_SHARE * length)
        for own, length in zip(others, seconds, strict=True)
    ]


#: Processes are looked up again after this time: with many threads that takes a millisecond.
_LOOKUP_SECONDS = 0.2


class Usage(NamedTuple):
    """Seconds between two moments.

    ``own`` is the CPU time of the process and all that it started, ``others`` that of other programs and
    machines on its CPUs, ``others_anywhere`` on all CPUs. ``delay`` is how long its main thread was ready to
    run and had no CPU, ``late`` how long this thread was, which may run on any CPU. Where the kernel does not
    keep them, ``others`` stands for the first.
    """

    own: float
    others: float
    others_anywhere: float
    delay: float
    late: float


class _State(NamedTuple):
    own: dict[int, float]
    busy: float
    busy_anywhere: float
    this_thread: float
    waited: tuple[float, float] | None
    """The process's main thread and this one."""


class UsageMeter:
    """Measures the usage of a process and its descendants on these CPUs."""

    def __init__(self, pid: int, cpus: Iterable[int]) -> None:
        self._pid, self._cpus = pid, set(cpus)
        self._known: set[int] = {pid}
        self._looked_up = float("-inf")
        self._begun: _State
        self.begin()

    @property
    def knows_others(self) -> bool:
        """Whether the kernel counts what CPUs do for other programs, and how long threads wait for a CPU."""
        return self._begun.busy_anywhere > 0 and self._begun.waited is not None

    def begin(self) -> None:
        """Measure from now on."""
        self._begun = self._read()

    def end(self) -> Usage:
        """Return the usage since :meth:`begin`. The kernel counts the usage of CPUs in ticks of 10 ms."""
        before, now = self._begun, self._read()
        # Over all of them: what a child used passes to its parent when it ends.
        own = max(0.0, sum(now.own.values()) - sum(before.own.values()))
        ours = own + now.this_thread - before.this_thread
        others = now.busy - before.busy - ours
        anywhere = now.busy_anywhere - before.busy_anywhere - ours
        if before.waited is None or now.waited is None:
            return Usage(own, others, anywhere, max(0.0, others), 0.0)
        delay, late = (max(0.0, end - begun) for begun, end in zip(before.waited, now.waited, strict=True))
        return Usage(own, others, anywhere, delay, late)

    def _read(self) -> _State:
        if time.monotonic() - self._looked_up > _LOOKUP_SECONDS:
            self._known, self._looked_up = with_descendants([self._pid]), time.monotonic()
        own = {pid: cpu_seconds(pid) for pid in self._known}
        busy = busy_seconds()
        waits = [waited_seconds(str(self._pid)), waited_seconds()]
        its, ours = waits
        return _State(
            own,
            sum(busy.get(cpu, 0.0) for cpu in self._cpus),
            sum(busy.values()),
            time.thread_time(),
            None if its is None or ours is None else (its, ours),
        )


def waited_seconds(thread: str = "thread-self") -> float | None:
    """Return the seconds in which a thread was ready but had no CPU; None if the kernel counts none.

    ``thread`` is its name in ``/proc``; the name of a process means its main thread.
    """
    # proc(5): time on the CPU, time waiting for it, number of time slices
    _, waited, slices = map(int, system_text(Path(f"/proc/{thread}/schedstat")).split() or (0, 0, 0))
    return waited / 1e9 if slices else None


#: The share of all CPUs below which the work of others does not show in times.
_UNNOTICED_SHARE = 0.05
#: The error of the kernel's counters, which count ticks of 10 ms for each process and CPU.
_COUNTER_ERROR_SECONDS = 0.1


class Interference(msgspec.Struct, frozen=True, kw_only=True):
    """The average load by others while a run trained and was scored.

    ``others`` is the work of other programs, and of other guests of the host of a virtual machine, in CPUs,
    of ``cpus`` in all. ``seconds`` is how long it was measured.
    """

    cpus: int
    others: float
    seconds: float

    @property
    def disturbs(self) -> bool:
        """Whether others used so much that times are longer and vary more than on an idle machine."""
        seen = self.others * self.seconds > _COUNTER_ERROR_SECONDS
        return seen and self.others > _UNNOTICED_SHARE * self.cpus


class Watch:
    """Measures from its creation on. ``pid`` is the worker, whose children count as its own work."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._begun = read_counters([pid])

    def report(self) -> Interference | None:
        """Return the load by others since the creation.

        None if the worker has ended, because its share is then unknown, or if the system has no counters.
        """
        now = read_counters([self._pid])
        if not now.busy or not cpu_seconds(self._pid):
            return None
        wall = now.at - self._begun.at
        return Interference(cpus=len(allowed_cpus()), others=between(self._begun, now) / wall, seconds=wall)
