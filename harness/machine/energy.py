"""Energy by the machine's own counters: the processor's packages (RAPL) and an NVIDIA GPU (NVML).

RAPL is read from Linux's powercap files, which most systems let only the superuser read. NVML is asked by
NVIDIA's own ``nvidia-ml-py``, where that is installed. The counters are of the whole package or GPU: what
others use meanwhile is in them, and so is what an idle machine takes.
"""

import contextlib
import re
from pathlib import Path
from typing import Any

from harness.machine.worker_variables import visible_gpus

_POWERCAP = Path("/sys/class/powercap")


#: Joules that each counter has come to, by its name.
Reading = dict[str, float]


class EnergyMeter:
    """The counters that can be read here.

    ``devices`` are those of the sides as their backends name them, ``cpu`` or ``cuda:0 (NVIDIA H100)``, each
    with the ``CUDA_VISIBLE_DEVICES`` of its process, by which CUDA counts and NVML does not.
    """

    def __init__(self, devices: list[tuple[str, str | None]], powercap: Path = _POWERCAP) -> None:
        self._packages = {
            str(zone): float((zone / "max_energy_range_uj").read_text()) / 1e6
            for zone in sorted(powercap.glob("intel-rapl:[0-9]*"))
            if _is_package(zone) and _readable(zone)
        }
        self._gpus = _gpus(devices)

    @property
    def available(self) -> bool:
        """Whether there is any counter."""
        return self._gpus is not None and bool(self._packages or self._gpus)

    def read(self) -> Reading:
        """What the counters say now; without one that fails, which costs no time that was measured."""
        told = {}
        for zone in self._packages:
            with contextlib.suppress(OSError, ValueError):
                told[zone] = _microjoules(Path(zone)) / 1e6
        for name, (library, handle) in (self._gpus or {}).items():
            with contextlib.suppress(Exception):  # NVML's own errors, which only the library defines
                told[name] = library.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
        return told

    def between(self, before: Reading, after: Reading) -> float | None:
        """Joules taken between two readings; None where a counter failed or there is none.

        RAPL's start again at 0.
        """
        if not self.available or self._gpus is None:
            return None
        whole = self._packages.keys() | self._gpus.keys()
        if not before.keys() == after.keys() == whole:
            return None
        taken = 0.0
        for name, joules in after.items():
            used = joules - before[name]
            taken += used if used >= 0 else used + self._packages.get(name, 0.0)
        return taken


def _is_package(zone: Path) -> bool:
    """Whether it is a processor: beside it may be ``psys``, the whole board with the processors in it."""
    with contextlib.suppress(OSError):
        return (zone / "name").read_text().startswith("package")
    return False


def _readable(zone: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return _microjoules(zone) >= 0
    return False


def _microjoules(zone: Path) -> float:
    return float((zone / "energy_uj").read_text())


def _gpus(devices: list[tuple[str, str | None]]) -> dict[str, tuple[Any, Any]] | None:
    """NVML's handle of each CUDA device that a side runs on; None where NVML cannot tell of one.

    The processor's energy alone would be taken for that of the whole side.
    """
    used = [match for device, visible in devices if device != "cpu" and (match := _gpu(device, visible))]
    if len(used) < sum(device != "cpu" for device, _ in devices):
        return None
    if not used:
        return {}
    try:
        import pynvml

        pynvml.nvmlInit()
        handles = {entry: _handle(pynvml, entry, name) for entry, name in used}
        for handle in handles.values():
            pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception:  # noqa: BLE001  NVML's own errors, which only the library that may be missing defines
        return None
    return {f"gpu {entry}": (pynvml, handle) for entry, handle in handles.items()}


def _gpu(device: str, visible: str | None) -> tuple[str, str] | None:
    """The number or UUID of the device outside its process, and its name; None of what is not CUDA's."""
    found = re.match(r"cuda(?::(\d+))?(?: \((.+)\))?$", device)
    if found is None:
        return None
    number = int(found[1] or 0)
    entries = visible_gpus(visible, number)
    return (entries[number], found[2] or "") if number < len(entries) else None


def _handle(library: Any, entry: str, name: str) -> Any:
    """NVML counts by the bus and CUDA by default from the fastest: the name tells whether they agree."""
    by_number = entry.isdecimal()
    handle = (
        library.nvmlDeviceGetHandleByIndex(int(entry))
        if by_number
        else library.nvmlDeviceGetHandleByUUID(entry)
    )
    if by_number and name and library.nvmlDeviceGetName(handle) != name:
        raise LookupError(f"NVML's device {entry} is not {name}")
    return handle
