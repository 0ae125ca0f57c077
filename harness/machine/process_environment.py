"""The environment variables that a worker starts with, so that every worker starts alike.

On a CPU the allocator decides a benchmark: a large temporary that is mapped and unmapped at each
step costs time and makes one process randomly slower than the next. So glibc is told to keep its
memory. Thread counts are fixed, a worker is bound to as many CPUs as it may have threads, and GPUs
that were not asked for are hidden from every framework.
"""

import contextlib
import functools
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

#: The CPUs that a worker is bound to, as ``0,2``; absent where it may use all that are allowed.
WORKER_CPUS = "HARNESS_WORKER_CPUS"
_LOOK_SECONDS = 0.2
_BUSY_PERCENT = 50.0
_CPUS = Path("/sys/devices/system/cpu")
#: The kernel's counts of what each CPU did (Linux).
PROCESSOR_TIMES = Path("/proc/stat")
_CONTROL_GROUP = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")
_NO_GPU = "-1"
_BEARS_ON_SPEED = (
    "ATEN_",
    "CUBLAS_",
    "CUDA_",
    "CUDNN_",
    "CXX",
    "DNNL_",
    "GLIBC_TUNABLES",
    "GOMP_",
    "JAX_",
    "KERAS_",
    "KMP_",
    "LD_PRELOAD",
    "MALLOC_",
    "MKL_",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_",
    "ONEDNN_",
    "OPENBLAS_",
    "PYTORCH_",
    "TF_",
    "TORCH",
    "XLA_",
)
_TRACES = ("COV_CORE_", "COVERAGE_PROCESS_")
GLIBC_KEEPS_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**36)}


def allowed_cpus() -> list[int]:
    """The logical CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def cpu_quota() -> float | None:
    """CPUs' worth of time that the control groups grant (version 2), where one of them is limited."""
    quotas = []
    for told in read_control_groups("cpu.max"):
        granted, _, period = told.partition(" ")
        if granted.isdigit() and period.strip().isdigit():
            quotas.append(int(granted) / int(period))
    return min(quotas, default=None)


def read_control_groups(name: str) -> list[str]:
    """What a file of this name says in this process's control group (version 2) and in those above it."""
    try:
        own = next(line for line in _OWN_GROUP.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        own = "0::/"
    own = own.removeprefix("0::/")
    told = []
    for group in (Path(own), *Path(own).parents) if own else (Path(),):
        with contextlib.suppress(OSError):
            told.append((_CONTROL_GROUP / group / name).read_text())
    return told


def usable_cpus() -> int:
    """As many CPUs as this process can keep busy: those allowed, or fewer where a container's quota is less.

    Threads beyond a quota would be stopped for the rest of each period, in the middle of a step.
    """
    quota, allowed = cpu_quota(), len(allowed_cpus())
    return allowed if quota is None else min(allowed, max(1, int(quota)))


def cpus_for(threads: int) -> list[int]:
    """As many of the allowed CPUs, on cores of their own before any shares a core with another."""
    return sorted(_best_first()[:threads])


@functools.cache
def _best_first() -> list[int]:
    """The allowed CPUs: those on cores of their own, and of these the quiet ones, come first.

    Looked at once, so that all workers of this process are bound to the same.
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
    """The CPUs that are at work while this process waits."""
    used = psutil.cpu_percent(_LOOK_SECONDS, percpu=True)
    return {cpu for cpu, percent in enumerate(used) if percent > _BUSY_PERCENT}


def on_their_cores(cpus: Iterable[int]) -> set[int]:
    """These CPUs and all that share a core with one of them."""
    found: set[int] = set()
    for cpu in cpus:
        for part in _core_of(cpu).split(","):
            first, _, last = part.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    return found


@functools.cache
def _core_of(cpu: int) -> str:
    """The hardware threads of its core, as ``0,4`` or ``0-1``; itself where the system will not say."""
    try:
        return (_CPUS / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text().strip()
    except OSError:
        return str(cpu)


def cpus_of(settings: Mapping[str, str]) -> list[int]:
    """The CPUs that a worker with these settings may use."""
    bound = settings.get(WORKER_CPUS)
    return [int(cpu) for cpu in bound.split(",")] if bound else allowed_cpus()


def cpu_count(settings: Mapping[str, str]) -> int:
    """How many CPUs a worker with these settings can keep busy."""
    return min(len(cpus_of(settings)), usable_cpus())


def places_to_start(settings: Sequence[Mapping[str, str]]) -> list[list[int]] | None:
    """The CPUs on which workers with these settings can start up side by side; None where they cannot.

    Workers of one CPU start on others each, by the same memory. Those of more stay on theirs: where OpenMP
    is told to bind its threads, it remembers the CPUs that it was loaded on.
    """
    own = [cpus_of(one) for one in settings]
    if len(own) <= min(map(cpu_count, settings)):
        return own
    if any(len(cpus) > 1 for cpus in own) or len(own) > usable_cpus():
        return None
    places: list[list[int]] = []
    left = _best_first()
    for (home,) in own:
        near = [cpu for cpu in left if _memory_of(cpu) == _memory_of(home)]
        if not near:
            return None
        place = home if home in near else near[0]
        places.append([place])
        left = [cpu for cpu in left if cpu != place]
    return places


@functools.cache
def _memory_of(cpu: int) -> str:
    """The memory that a CPU is next to (its NUMA node, as ``node0``); empty where the system will not say."""
    return next((path.name for path in (_CPUS / f"cpu{cpu}").glob("node*")), "")


@contextlib.contextmanager
def bound_to_cpus(cpus: Iterable[int]) -> Iterator[None]:
    """Processes started inside may use these CPUs only, from their first thread on.

    XLA's threads obey no count that can be set from outside, and those that a library starts when it
    is imported would escape a worker that bound itself.
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


def worker_variables(
    threads: int, device: str, inherited: Mapping[str, str], *, quiet: bool = True
) -> dict[str, str]:
    """The variables that are set or replaced, by name; they are recorded with the run.

    ``inherited`` is the user's environment: a ``CUDA_VISIBLE_DEVICES`` there is respected, so that
    ``cuda:1`` is the second GPU that the user sees, and ``auto`` and ``cuda`` the first. Of the others a
    framework would keep memory too, and start them up. Without ``quiet`` only the device is chosen, and
    all else stays as the user's shell has it.
    """
    settings: dict[str, str] = {}
    if quiet:
        # XLA sizes its pools by NPROC.
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")
        settings |= dict.fromkeys(names, str(threads))
        if threads < len(allowed_cpus()) and hasattr(os, "sched_setaffinity"):
            settings[WORKER_CPUS] = ",".join(map(str, cpus_for(threads)))
        settings["PYTHONHASHSEED"] = "0"
        if platform.libc_ver()[0] == "glibc":
            settings |= GLIBC_KEEPS_MEMORY
    if device == "cpu":
        settings |= {"CUDA_VISIBLE_DEVICES": _NO_GPU, "JAX_PLATFORMS": "cpu"}
    else:
        index = int(device.partition(":")[2] or 0)
        known = visible_gpus(inherited.get("CUDA_VISIBLE_DEVICES"), index)
        settings["CUDA_VISIBLE_DEVICES"] = known[index] if index < len(known) else _NO_GPU
    return settings


def visible_gpus(setting: str | None, index: int) -> list[str]:
    """Numbers or UUIDs of the GPUs that CUDA would show for this ``CUDA_VISIBLE_DEVICES``, in its order.

    It stops at the first -1. Without the variable CUDA shows all: those up to ``index`` are given.
    """
    if setting is None:
        return [str(number) for number in range(index + 1)]
    entries = [entry.strip() for entry in setting.split(",")]
    return entries[: entries.index(_NO_GPU)] if _NO_GPU in entries else entries


def missing_knobs() -> list[str]:
    """What of the quiet setting this platform does not offer, in words; most often nothing."""
    missing = []
    if platform.libc_ver()[0] != "glibc":
        missing.append("the allocator cannot be told to keep its memory (no glibc)")
    if not hasattr(os, "sched_setaffinity"):
        missing.append("processes cannot be bound to CPUs")
    if sys.platform != "linux":
        missing.append("a side whose turn it is not waits and is not stopped")
    if not os.access(PROCESSOR_TIMES, os.R_OK):
        missing.append("disturbances by other work are not seen")
    elif not read_control_groups("cpu.stat"):
        missing.append("what a CPU quota holds back is not seen (no control groups of version 2)")
    return missing


def untraced(inherited: Mapping[str, str]) -> dict[str, str]:
    """The user's environment without what has coverage.py trace every Python that is started in it.

    It would be timed along with the work, and on the side alone in whose environment it is installed.
    """
    return {name: value for name, value in inherited.items() if not name.startswith(_TRACES)}


def inherited_variables(inherited: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Variables of the user's that reach the worker unchanged and are known to bear on speed or results."""
    return {
        # A record is text, and what is no UTF-8 can only be told in part.
        name: os.fsencode(value).decode(errors="replace")
        for name, value in sorted(inherited.items())
        if name.startswith(_BEARS_ON_SPEED) and name not in settings
    }
