"""The environment variables of a worker, so that every worker starts alike.

On a CPU the allocator decides a benchmark: a large temporary that is mapped and unmapped at each step
costs time, and makes one process randomly slower than the next. glibc is therefore set to keep its
memory, in one arena for all threads. Thread counts are fixed, a worker is bound to as many CPUs as it may
have threads, and GPUs that were not asked for are hidden from every framework.
"""

import os
import platform
import sys
from collections.abc import Mapping

from harness.core.machine.cpus import PROCESSOR_TIMES, WORKER_CPUS, allowed_cpus, cpus_for

_NO_GPU = "-1"
#: Beginnings of the names of variables that are known to influence speed or results.
_INFLUENTIAL = (
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
#: Recorded variables that name places or verbosity, or that repeat what device and backend state.
_IRRELEVANT_VARIABLES = {
    "CUDA_VISIBLE_DEVICES",
    "CXX",
    "KERAS_BACKEND",
    "KERAS_HOME",
    "KERAS_TORCH_DEVICE",
    "KMP_DUPLICATE_LIB_OK",  # set by importing threadpoolctl
    "TF_CPP_MAX_VLOG_LEVEL",
    "TF_CPP_MIN_LOG_LEVEL",
    "TORCH_HOME",
    "TORCH_LOGS",
}
_TRACES = ("COV_CORE_", "COVERAGE_PROCESS_")
ONE_ARENA = "MALLOC_ARENA_MAX"
#: The first two hold for the arena of the main thread. Those of other threads, in which XLA computes, consist
#: of heaps of 64 MiB that are unmapped once they are empty, and larger blocks are mapped one by one.
GLIBC_KEEPS_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**36),
    ONE_ARENA: "1",
}


def worker_variables(
    threads: int, device: str, inherited: Mapping[str, str], *, quiet: bool = True
) -> dict[str, str]:
    """Return the variables that are set or replaced for a worker; they are recorded with the run.

    ``inherited`` is the user's environment. A ``CUDA_VISIBLE_DEVICES`` in it is respected: ``cuda:1`` is the
    second GPU that the user sees, ``auto`` and ``cuda`` the first. The other GPUs are hidden, because a
    framework would initialise them and keep memory there. Without ``quiet`` only the device is chosen, and
    everything else stays as in the user's shell.
    """
    variables: dict[str, str] = {}
    if quiet:
        # XLA sizes its pools by NPROC.
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")
        variables |= dict.fromkeys(names, str(threads))
        if threads < len(allowed_cpus()) and hasattr(os, "sched_setaffinity"):
            variables[WORKER_CPUS] = ",".join(map(str, cpus_for(threads)))
        variables["PYTHONHASHSEED"] = "0"
        if platform.libc_ver()[0] == "glibc":
            variables |= GLIBC_KEEPS_MEMORY
    if device == "cpu":
        variables |= {"CUDA_VISIBLE_DEVICES": _NO_GPU, "JAX_PLATFORMS": "cpu"}
    else:
        index = int(device.partition(":")[2] or 0)
        known = visible_gpus(inherited.get("CUDA_VISIBLE_DEVICES"), index)
        variables["CUDA_VISIBLE_DEVICES"] = known[index] if index < len(known) else _NO_GPU
    return variables


def visible_gpus(cuda_visible_devices: str | None, index: int) -> list[str]:
    """Return numbers or UUIDs of the GPUs that CUDA shows for ``cuda_visible_devices``, in its order.

    The list ends at the first -1. Without the variable CUDA shows all GPUs: those up to ``index`` are
    returned.
    """
    if cuda_visible_devices is None:
        return [str(number) for number in range(index + 1)]
    entries = [entry.strip() for entry in cuda_visible_devices.split(",")]
    return entries[: entries.index(_NO_GPU)] if _NO_GPU in entries else entries


def missing_controls() -> list[str]:
    """Name the parts of a quiet environment that this platform lacks; usually none."""
    missing = {
        "the allocator cannot be set to keep its memory (no glibc)": platform.libc_ver()[0] != "glibc",
        "processes cannot be bound to CPUs": not hasattr(os, "sched_setaffinity"),
        "a configuration whose turn it is not waits, but is not stopped": sys.platform != "linux",
        "disturbances by other programs are not detected": not os.access(PROCESSOR_TIMES, os.R_OK),
    }
    return [lack for lack, is_missing in missing.items() if is_missing]


def untraced(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the user's environment without the variables by which coverage.py traces every Python in it.

    The tracing would be timed with the work, and only for the configuration whose environment has
    coverage.py installed.
    """
    return {name: value for name, value in inherited.items() if not name.startswith(_TRACES)}


def inherited_variables(inherited: Mapping[str, str], replaced: Mapping[str, str]) -> dict[str, str]:
    """Return the user's variables that influence speed or results and reach a worker unchanged.

    ``replaced`` are the variables that the worker gets instead, such as from :func:`worker_variables`.
    """
    return {
        # A record is UTF-8; other bytes are replaced.
        name: os.fsencode(value).decode(errors="replace")
        for name, value in sorted(inherited.items())
        if name.startswith(_INFLUENTIAL) and name not in replaced
    }


def variables_text(inherited: Mapping[str, str]) -> str:
    """Return the user's variables that must be equal for runs to be compared; empty where there are none."""
    return " ".join(f"{name}={value}" for name, value in relevant_variables(inherited).items())


def relevant_variables(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the user's variables that must be equal for runs to be compared, by name."""
    names = sorted(inherited.keys() - _IRRELEVANT_VARIABLES)
    return {name: inherited[name] for name in names}
