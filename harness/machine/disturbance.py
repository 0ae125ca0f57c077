"""What else used the machine's processors between two moments, as the kernel counts it (Linux)."""

import math
import os
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.machine.control_groups import read_control_groups
from harness.machine.cpus import PROCESSOR_TIMES, allowed_cpus
from harness.machine.process_groups import with_descendants


class Disturbance(msgspec.Struct, frozen=True):
    """What else took CPU time, in CPU seconds: the hypervisor for other machines, other processes here.

    ``throttled_seconds`` is what the control group's quota held back, ``throttle_events`` how often a core
    was slowed for heat.
    """

    stolen_seconds: float
    others_seconds: float
    throttled_seconds: float
    throttle_events: int


_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_CPUS = Path("/sys/devices/system/cpu")
#: A block is disturbed if others took more than usual by this share of one core, and by more than the
#: kernel's counters err: they count in ticks of 10 ms, each of which may fall into the block or beside it,
#: at the same moments on all CPUs.
_TOLERATED_SHARE = 0.1
_FEWEST_TOLERATED_TICKS = 2


class Counters(NamedTuple):
    """CPU seconds since the machine started: of all, stolen, of ours, and held back by a quota."""

    busy: float
    stolen: float
    ours: float
    throttled: float
    throttle_events: int
    at: float


def read_counters(pids: Iterable[int] = (), cpus: Iterable[int] | None = None) -> Counters:
    """The counters of these CPUs, or of those allowed now; zeros where there is no /proc.

    Ours are this process, those with ``pids``, and all that they have started.
    """
    try:
        lines = PROCESSOR_TIMES.read_text().splitlines()
    except OSError:
        return Counters(0.0, 0.0, 0.0, 0.0, 0, time.monotonic())
    numbers = allowed_cpus() if cpus is None else list(cpus)
    watched = {f"cpu{cpu}" for cpu in numbers}
    busy = stolen = 0
    for name, *words in map(str.split, lines):
        if name in watched:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, words[:8])
            busy += user + nice + system + irq + softirq
            stolen += steal
    ours = math.fsum(map(_cpu_seconds, with_descendants([os.getpid(), *pids])))
    return Counters(
        busy / _TICKS_PER_SECOND,
        stolen / _TICKS_PER_SECOND,
        ours,
        _throttled_seconds(),
        _throttle_events(numbers),
        time.monotonic(),
    )


def _cpu_seconds(pid: int) -> float:
    """Of a process and of those children of its that have ended."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, after_name[11:15])) / _TICKS_PER_SECOND


def _throttled_seconds() -> float:
    told = [line.split() for text in read_control_groups("cpu.stat") for line in text.splitlines()]
    return sum(int(words[1]) for words in told if words[0] == "throttled_usec") / 1e6


def _throttle_events(cpus: Iterable[int]) -> int:
    """How often the cores of these CPUs have been slowed for heat since the machine started."""
    files = (_CPUS / f"cpu{cpu}" / "thermal_throttle" / "core_throttle_count" for cpu in cpus)
    return sum(int(file.read_text()) for file in files if file.exists())


def between(before: Counters, after: Counters) -> Disturbance:
    """What others took between two readings."""
    others = (after.busy - before.busy) - (after.ours - before.ours)
    return Disturbance(
        stolen_seconds=after.stolen - before.stolen,
        others_seconds=max(0.0, others),
        throttled_seconds=after.throttled - before.throttled,
        throttle_events=after.throttle_events - before.throttle_events,
    )


def disturbed(disturbances: list[Disturbance], seconds: list[float], threads: int = 1) -> list[bool]:
    """Which of these blocks, of these lengths, are to be dropped; their results have no say in it.

    ``threads`` are at work in a block, each on a CPU whose ticks err.

    Those are the ones from which more was taken than is usual among them: a burst meets one and not the
    next. A load that never ceases is told rather than dropped. It may meet sides unequally, for one that
    keeps fewer threads at work leaves it a CPU: so blocks of one side are looked at together.
    """
    taken = [one.stolen_seconds + one.others_seconds + one.throttled_seconds for one in disturbances]
    usual_events = statistics.median(one.throttle_events for one in disturbances)
    usual_share = statistics.median(share / length for share, length in zip(taken, seconds, strict=True))
    tolerated = max(_FEWEST_TOLERATED_TICKS, threads) / _TICKS_PER_SECOND
    return [
        (one.throttle_events > 0 and not usual_events)
        or more - usual_share * length > max(tolerated, _TOLERATED_SHARE * length)
        for one, more, length in zip(disturbances, taken, seconds, strict=True)
    ]
