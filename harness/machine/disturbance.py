"""CPU time that other programs used between two moments, from the kernel's counters (Linux)."""

import math
import os
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.machine.control_groups import throttled_seconds
from harness.machine.cpus import PROCESSOR_TIMES, allowed_cpus
from harness.machine.process_groups import with_descendants


class Disturbance(msgspec.Struct, frozen=True):
    """CPU seconds that the hypervisor gave to other machines (stolen) and other processes used here.

    ``throttled_seconds`` is the time that the control group's quota held back; ``throttle_events`` counts how
    often a core was throttled for heat.
    """

    stolen_seconds: float
    others_seconds: float
    throttled_seconds: float
    throttle_events: int


_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_CPUS = Path("/sys/devices/system/cpu")
#: A block is disturbed if others took more than usual by this share of one core, and by more than the error
#: of the kernel's counters: they count in ticks of 10 ms, at the same moments on all CPUs, and a tick may
#: fall just inside or outside of the block.
_TOLERATED_SHARE = 0.1
_FEWEST_TOLERATED_TICKS = 2


class Counters(NamedTuple):
    """CPU seconds since the machine started: of all processes, stolen, of ours, held back by a quota."""

    busy: float
    stolen: float
    ours: float
    throttled: float
    throttle_events: int
    at: float


def read_counters(pids: Iterable[int] = (), cpus: Iterable[int] | None = None) -> Counters:
    """The counters of these CPUs, or of the allowed ones; zeros without /proc.

    Ours are this process, those of ``pids``, and all their descendants.
    """
    numbers = allowed_cpus() if cpus is None else list(cpus)
    times = _cpu_times()
    if not times:
        return Counters(0.0, 0.0, 0.0, 0.0, 0, time.monotonic())
    watched = [times[cpu] for cpu in numbers if cpu in times]
    ours = math.fsum(map(cpu_seconds, with_descendants([os.getpid(), *pids])))
    return Counters(
        sum(busy for busy, _ in watched) / _TICKS_PER_SECOND,
        sum(stolen for _, stolen in watched) / _TICKS_PER_SECOND,
        ours,
        throttled_seconds(),
        _throttle_events(numbers),
        time.monotonic(),
    )


def busy_seconds() -> dict[int, float]:
    """How long each CPU has worked, for whatever process; empty without /proc."""
    return {cpu: busy / _TICKS_PER_SECOND for cpu, (busy, _) in _cpu_times().items()}


def _cpu_times() -> dict[int, tuple[int, int]]:
    """Of each CPU the ticks in which it worked, and those that the hypervisor gave to other machines."""
    try:
        lines = PROCESSOR_TIMES.read_text().splitlines()
    except OSError:
        return {}
    times = {}
    for name, *words in map(str.split, lines):
        if name.startswith("cpu") and name != "cpu":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, words[:8])
            times[int(name[3:])] = user + nice + system + irq + softirq, steal
    return times


def cpu_seconds(pid: int) -> float:
    """Of all threads of a process, and of its children that have ended; 0 once it has been waited for."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    user, system, *children = (int(ticks) / _TICKS_PER_SECOND for ticks in after_name[11:15])
    try:
        own = time.clock_gettime(_clock_of(pid))
    except OSError:  # not every sandbox has it
        own = user + system
    return own + sum(children)


def _clock_of(pid: int) -> int:
    """The kernel's number of the CPU clock of a process, as ``clock_getcpuclockid(3)`` returns it."""
    return ~pid << 3 | 2


def _throttle_events(cpus: Iterable[int]) -> int:
    """How often the cores of these CPUs have been throttled for heat since the machine started."""
    files = (_CPUS / f"cpu{cpu}" / "thermal_throttle" / "core_throttle_count" for cpu in cpus)
    return sum(int(file.read_text()) for file in files if file.exists())


def between(before: Counters, after: Counters) -> Disturbance:
    """CPU time that others used between two readings."""
    others = (after.busy - before.busy) - (after.ours - before.ours)
    return Disturbance(
        stolen_seconds=after.stolen - before.stolen,
        others_seconds=max(0.0, others),
        throttled_seconds=after.throttled - before.throttled,
        throttle_events=after.throttle_events - before.throttle_events,
    )


def disturbed(disturbances: list[Disturbance], seconds: list[float], threads: int = 1) -> list[bool]:
    """Which of these blocks, of these lengths, to drop; their own times have no influence on it.

    A block is dropped if more was taken from it than is usual among them: a burst of load meets one block and
    not the next. A constant load is reported instead. It may affect configurations unequally, because one
    that uses fewer threads leaves it a CPU; so pass the blocks of one configuration. Each of its ``threads``
    adds the error of one CPU's ticks.
    """
    taken = [each.stolen_seconds + each.others_seconds + each.throttled_seconds for each in disturbances]
    usual_events = statistics.median(each.throttle_events for each in disturbances)
    usual_share = statistics.median(share / length for share, length in zip(taken, seconds, strict=True))
    tolerated = max(_FEWEST_TOLERATED_TICKS, threads) / _TICKS_PER_SECOND
    return [
        (each.throttle_events > 0 and not usual_events)
        or own - usual_share * length > max(tolerated, _TOLERATED_SHARE * length)
        for each, own, length in zip(disturbances, taken, seconds, strict=True)
    ]
