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
