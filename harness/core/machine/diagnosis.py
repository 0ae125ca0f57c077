"""Conditions of this machine that distort timings, each with its remedy."""

import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from harness.core.machine.control_groups import cpu_quota
from harness.core.machine.cpus import allowed_cpus
from harness.core.machine.description import default_threads
from harness.core.machine.files import system_text

#: A core that is busier than this while this process waits runs other programs.
BUSY_PERCENT = 10.0
_OBSERVE_SECONDS = 1.0
#: Enough for a worker with a framework, a float copy of CIFAR-10 and memory to train.
NEEDED_MEMORY_BYTES = 3 * 2**30
_CPUS = Path("/sys/devices/system/cpu")
_CONTROL_GROUP = Path("/sys/fs/cgroup")


def _busy_cores() -> Iterator[str]:
    used = psutil.cpu_times_percent(_OBSERVE_SECONDS, percpu=True)
    busy = [
        f"CPU {cpu} {100 - times.idle:.0f} %"
        for cpu, times in enumerate(used)
        if 100 - times.idle > BUSY_PERCENT
    ]
    if busy:
        yield f"busy while this command waits: {', '.join(busy)}; stop the programs that run there"
    stolen = [getattr(times, "steal", 0.0) for times in used]
    if max(stolen) > 1.0:
        yield f"the hypervisor takes up to {max(stolen):.0f} % of a core for other machines (steal time)"


def _frequency() -> Iterator[str]:
    governors = {system_text(path) for path in _CPUS.glob("cpu*/cpufreq/scaling_governor")}
    if "powersave" in governors and not (_CPUS / "intel_pstate").exists():
        yield "the CPU frequency governor is 'powersave'; set it to 'performance'"
    throttles = [system_text(path) or "0" for path in _CPUS.glob("cpu*/thermal_throttle/core_throttle_count")]
    if any(int(count) for count in throttles):
        yield "a core was throttled because of heat since the machine started; check its cooling"
    frequency = psutil.cpu_freq() if hasattr(psutil, "cpu_freq") else None
    if frequency and frequency.max and frequency.current < 0.6 * frequency.max:
        yield f"cores run at {frequency.current:.0f} of {frequency.max:.0f} MHz"
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    if battery and not battery.power_plugged:
        yield "on battery power; plug it in"


def _threads(environment: Mapping[str, str]) -> Iterator[str]:
    threads = default_threads()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        value = environment.get(name)
        if value and value != str(threads):
            yield f"{name}={value} is set; workers use {threads} instead (change it with --threads)"
    quota = cpu_quota()
    if quota is not None and quota < len(allowed_cpus()):
        yield (
            f"this container has a quota of {quota:g} CPUs and sees {len(allowed_cpus())}; "
            f"a worker with more than {threads} {'threads' if threads > 1 else 'thread'} is throttled"
        )
    if len(allowed_cpus()) < (os.cpu_count() or 1):
        yield f"this process may use only {len(allowed_cpus())} of {os.cpu_count()} logical CPUs"


def _debug_builds() -> Iterator[str]:
    if sysconfig.get_config_var("Py_DEBUG"):
        yield "this Python is a debug build"
    if sys.gettrace() or sys.getprofile():
        yield "a debugger, profiler or coverage tool traces this Python"


def free_memory_bytes() -> int:
    """Return the available memory in bytes, or what the control group grants if that is less."""
    available: int = psutil.virtual_memory().available
    limit, used = (system_text(_CONTROL_GROUP / name) for name in ("memory.max", "memory.current"))
    if not limit or not used or limit == "max":
        return available
    return min(available, max(0, int(limit) - int(used)))


def _memory() -> Iterator[str]:
    free = free_memory_bytes()
    if free < NEEDED_MEMORY_BYTES:
        needed = NEEDED_MEMORY_BYTES / 2**30
        yield f"{free / 2**30:.1f} GiB of memory are free; a worker can need {needed:.0f} GiB"
    if psutil.swap_memory().used > 2**28:
        yield f"{psutil.swap_memory().used / 2**30:.1f} GiB are swapped out"
    try:
        disk = shutil.disk_usage(tempfile.gettempdir()).free
    except FileNotFoundError:
        yield "no folder for temporary files is writable: set TMPDIR to one"
        return
    if disk < 2**30:
        yield f"{disk / 2**30:.2f} GiB of disk are free in {tempfile.gettempdir()}"


def findings() -> list[str]:
    """Return all findings, in words. Observes the cores for one second."""
    return [*_busy_cores(), *_frequency(), *_threads(os.environ), *_debug_builds(), *_memory()]
