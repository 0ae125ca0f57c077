"""What some measurements need and this machine may lack: GPU, energy counters, control groups, programs."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from harness.machine.control_groups import read_control_groups
from harness.machine.energy import EnergyMeter

_DEVICES = Path("/dev")
_POWERCAP = Path("/sys/class/powercap")


class Facility(NamedTuple):
    """Something that is missing: what it is for, and why it is missing or what would provide it."""

    name: str
    purpose: str
    reason: str


def has_nvidia_gpu(devices: Path = _DEVICES) -> bool:
    """Whether the machine has an NVIDIA GPU, even one that the environment hides."""
    return any(devices.glob("nvidia[0-9]*"))


def missing_facilities(
    variables: Mapping[str, str] = os.environ, devices: Path = _DEVICES, powercap: Path = _POWERCAP
) -> list[Facility]:
    """The facilities that this machine lacks. Imports no framework."""
    missing = []
    if not has_nvidia_gpu(devices):
        missing.append(Facility("NVIDIA GPU", "--device cuda", "none found"))
    elif importlib.util.find_spec("pynvml") is None:
        missing.append(Facility("NVML", "energy of a GPU in duels", "pip install nvidia-ml-py"))
    if not EnergyMeter([("cpu", None)], powercap).available:
        reason = (
            "only root may read them"
            if any(powercap.glob("intel-rapl:[0-9]*"))
            else "the system provides none"
        )
        missing.append(Facility("CPU energy counters (RAPL)", "energy in duels", reason))
    if not read_control_groups("cpu.stat"):
        missing.append(
            Facility("control groups, version 2", "detection of CPU throttling", "the system provides none")
        )
    if not hasattr(os, "sched_setaffinity"):
        missing.append(Facility("CPU affinity", "workers on fixed CPUs", f"not supported on {sys.platform}"))
    compiler = variables.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is None:
        missing.append(
            Facility(
                "C++ compiler", "torch:compile on the CPU", f"{compiler} is not installed; CXX names another"
            )
        )
    if shutil.which("git") is None:
        missing.append(Facility("git", "harness gate --base", "not installed"))
    return missing
