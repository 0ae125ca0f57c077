"""What else used the machine's processors between two moments, as the kernel counts it (Linux)."""

import os
import statistics
import time
from pathlib import Path
from typing import NamedTuple

from harness.duel.record import Disturbance

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_CPUS = Path("/sys/devices/system/cpu")
#: A block is disturbed if others took more than usual by this share of one core, and by more than the
#: kernel's counters err: they count in ticks of 10 ms, each of which may fall into the block or beside it.
_TOLERATED_SHARE = 0.1
_TOLERATED_SECONDS = 2 / _TICKS_PER_SECOND


class Counters(NamedTuple):
    """CPU seconds since the machine started: of all, stolen, of ours, and held back by a quota."""

    busy: float
    stolen: float
    ours: float
    throttled: float
    throttle_events: int
    at: float


def read_counters(pids: list[int]) -> Counters:
    """The counters now. ``pids`` are our own processes beside this one; zeros where there is no /proc."""
    try:
        fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    except OSError:
        return Counters(0.0, 0.0, 0.0, 0.0, 0, time.monotonic())
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields[:8]
    busy = (user + nice + system + irq + softirq) / _TICKS_PER_SECOND
    ours = sum(map(_cpu_seconds, [os.getpid(), *pids]))
    stolen = steal / _TICKS_PER_SECOND
    return Counters(busy, stolen, ours, _throttled_seconds(), _throttle_events(), time.monotonic())


def _cpu_seconds(pid: int) -> float:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(after_name[11]) + int(after_name[12])) / _TICKS_PER_SECOND


def _throttled_seconds() -> float:
    try:
        lines = Path("/sys/fs/cgroup/cpu.stat").read_text().splitlines()
    except OSError:
        return 0.0
    told = [int(line.split()[1]) for line in lines if line.startswith("throttled_usec")]
    return told[0] / 1e6 if told else 0.0


def _throttle_events() -> int:
    """How often cores have been slowed for heat since the machine started."""
    files = _CPUS.glob("cpu*/thermal_throttle/core_throttle_count")
    return sum(int(file.read_text()) for file in files)


def between(before: Counters, after: Counters) -> Disturbance:
    """What others took between two readings."""
    others = (after.busy - before.busy) - (after.ours - before.ours)
    return Disturbance(
        stolen_seconds=after.stolen - before.stolen,
        others_seconds=max(0.0, others),
        throttled_seconds=after.throttled - before.throttled,
        throttle_events=after.throttle_events - before.throttle_events,
    )


def disturbed(disturbances: list[Disturbance], seconds: list[float]) -> list[bool]:
    """Which blocks of a pair, of these lengths, are to be dropped; their results have no say in it.

    Those are the ones from which more was taken than is usual in this pair: a burst meets one side and
    not the other. A load that never ceases meets both alike, and is told rather than dropped.
    """
    taken = [one.stolen_seconds + one.others_seconds + one.throttled_seconds for one in disturbances]
    usual_share = statistics.median(share / length for share, length in zip(taken, seconds, strict=True))
    return [
        one.throttle_events > 0
        or more - usual_share * length > max(_TOLERATED_SECONDS, _TOLERATED_SHARE * length)
        for one, more, length in zip(disturbances, taken, seconds, strict=True)
    ]
