"""Energy from the machine's own counters: the processor's packages (RAPL) and NVIDIA GPUs (NVML).

RAPL is read from Linux's powercap files, which on most systems only the superuser may read. NVML is read with
NVIDIA's ``nvidia-ml-py``, if it is installed. The counters cover the whole package or GPU: they include the
energy of other programs and of an idle machine.
"""

import contextlib
import re
from pathlib import Path
from typing import Any

from harness.machine.worker_variables import visible_gpus

_POWERCAP = Path("/sys/class/powercap")

#: Joules of each counter, by its name.
Reading = dict[str, float]


class EnergyMeter:
    """The counters that can be read here.

    ``devices`` are named as backends name them, ``cpu`` or ``cuda:0 (NVIDIA H100)``, each with the
    ``CUDA_VISIBLE_DEVICES`` of its process: CUDA's numbers depend on it, NVML's do not.
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
        """The counters now, without those that fail. Call it outside of timed work."""
        joules = {}
        for zone in self._packages:
            with contextlib.suppress(OSError, ValueError):
                joules[zone] = _microjoules(Path(zone)) / 1e6
        for name, (library, handle) in (self._gpus or {}).items():
            with contextlib.suppress(Exception):  # NVML's own errors, which only the library defines
                joules[name] = library.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
        return joules

    def between(self, before: Reading, after: Reading) -> float | None:
        """Joules used between two readings; None if a counter failed or there is none.

        RAPL's counters start again at 0 when they overflow.
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
    """Whether the zone is a processor, not ``psys``: the whole board, which includes the processors."""
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
    """NVML's handle of each CUDA device in use; None if NVML cannot read one of them.

    Otherwise the processor's energy alone would be reported as the energy of the work.
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
    """The device's number or UUID outside its process, and its name; None for a device that is not CUDA's."""
    match = re.match(r"cuda(?::(\d+))?(?: \((.+)\))?$", device)
    if match is None:
        return None
    number = int(match[1] or 0)
    entries = visible_gpus(visible, number)
    return (entries[number], match[2] or "") if number < len(entries) else None


def _handle(library: Any, entry: str, name: str) -> Any:
    """NVML numbers GPUs by their bus, CUDA by default from the fastest: the name shows whether they agree."""
    by_number = entry.isdecimal()
    handle = (
        library.nvmlDeviceGetHandleByIndex(int(entry))
        if by_number
        else library.nvmlDeviceGetHandleByUUID(entry)
    )
    if by_number and name and library.nvmlDeviceGetName(handle) != name:
        raise LookupError(f"NVML's device {entry} is not {name}")
    return handle
