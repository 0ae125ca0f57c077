"""The CPUs of this process: how many it can use, which of them a worker is bound to, and binding it."""

import contextlib
import functools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from harness.core.machine.files import system_text

#: The variable that lists the CPUs of a worker, as ``0,2``. Absent where it may use all allowed ones.
WORKER_CPUS = "HARNESS_WORKER_CPUS"
#: The kernel's counters of what each CPU did (Linux).
PROCESSOR_TIMES = Path("/proc/stat")
_OBSERVE_SECONDS = 0.2
_BUSY_PERCENT = 50.0
_CPUS = Path("/sys/devices/system/cpu")
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")


def allowed_cpus() -> list[int]:
    """Return the logical CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def usable_cpus() -> int:
    """Count the CPUs that this process can keep busy: the allowed ones, or fewer under a quota.

    Threads beyond a quota are stopped for the rest of each period, in the middle of a step.
    """
    quota, allowed = cpu_quota(), len(allowed_cpus())
    return allowed if quota is None else min(allowed, max(1, int(quota)))


def cpu_quota() -> float | None:
    """Return the CPU time that the control groups (version 2) grant, in CPUs; None without a limit."""
    own = next(
        (line[3:].strip("/") for line in system_text(_OWN_GROUP).splitlines() if line[:3] == "0::"), ""
    )
    quotas = []
    for group in (Path(own), *Path(own).parents):
        granted, _, period = system_text(_CONTROL_GROUPS / group / "cpu.max").partition(" ")
        if granted.isdigit():
            quotas.append(int(granted) / int(period))
    return min(quotas, default=None)


def cpus_for(threads: int) -> list[int]:
    """Choose as many allowed CPUs as ``threads``, separate cores before a second CPU of a core."""
    return sorted(_best_first()[:threads])


def cpu_groups(threads: int, cpus: int) -> list[list[int]]:
    """Divide the allowed ``cpus`` into disjoint groups of one CPU a thread.

    If there are too few CPUs for two groups, return one group.
    """
    best = _best_first()
    starts = range(0, max(1, cpus // threads) * threads, threads)
    return [sorted(best[start : start + threads]) for start in starts]


@functools.cache
def _best_first() -> list[int]:
    """Return the allowed CPUs, best first: one CPU of each core, idle before busy, then the others.

    Measured once, so that all workers of this process are bound to the same CPUs.
    """
    busy = _busy_cpus()
    taken: dict[str, int] = {}
    order = []
    for cpu in allowed_cpus():
        core = _core_of(cpu)
        order.append((taken.get(core, 0), cpu in busy, cpu))
        taken[core] = taken.get(core, 0) + 1
    return [cpu for _, _, cpu in sorted(order)]


def _busy_cpus() -> set[int]:
    """Find the CPUs that are busy while this process waits."""
    import psutil  # imported late: commands that only read records do not need it

    used = psutil.cpu_percent(_OBSERVE_SECONDS, percpu=True)
    return {cpu for cpu, percent in enumerate(used) if percent > _BUSY_PERCENT}


def on_their_cores(cpus: Iterable[int]) -> set[int]:
    """Return these CPUs and all that share a core with one of them."""
    siblings: set[int] = set()
    for cpu in cpus:
        for part in _core_of(cpu).split(","):
            first, _, last = part.partition("-")
            siblings.update(range(int(first), int(last or first) + 1))
    return siblings


@functools.cache
def _core_of(cpu: int) -> str:
    """Return the hardware threads of a CPU's core, as ``0,4`` or ``0-1``; the CPU itself if unknown."""
    return system_text(_CPUS / f"cpu{cpu}" / "topology" / "thread_siblings_list") or str(cpu)


def cpus_of(variables: Mapping[str, str]) -> list[int]:
    """Return the CPUs that a worker with these variables may use."""
    bound = variables.get(WORKER_CPUS)
    return [int(cpu) for cpu in bound.split(",")] if bound else allowed_cpus()


def cpu_count(variables: Mapping[str, str]) -> int:
    """Count the CPUs that a worker with these variables can keep busy."""
    return min(len(cpus_of(variables)), usable_cpus())


def places_to_start(variables: Sequence[Mapping[str, str]]) -> list[list[int]] | None:
    """Return the CPUs on which workers with these variables can start side by side; None if they cannot.

    Workers of one CPU start on a CPU each. Workers of several CPUs stay on their own: an OpenMP that
    binds its threads remembers the CPUs it was loaded on.
    """
    own = [cpus_of(worker) for worker in variables]
    if len(own) <= min(map(cpu_count, variables)):
        return own
    if any(len(cpus) > 1 for cpus in own) or len(own) > usable_cpus():
        return None
    places: list[list[int]] = []
    free = _best_first()
    for (home,) in own:
        place = home if home in free else free[0]
        places.append([place])
        free = [cpu for cpu in free if cpu != place]
    return places


@contextlib.contextmanager
def bound_to_cpus(cpus: Iterable[int]) -> Iterator[None]:
    """Bind processes that start in this context to ``cpus``, from their first thread on.

    A worker that bound itself would not bind the threads that libraries start when they are imported, and
    XLA's threads obey no count that can be set from outside.
    """
    before, wanted = set(allowed_cpus()), set(cpus)
    if wanted == before or not hasattr(os, "sched_setaffinity"):
        yield
        return
    os.sched_setaffinity(0, wanted)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
