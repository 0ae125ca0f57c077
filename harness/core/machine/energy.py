"""Energy from the machine's own counters: the processor's packages (RAPL) and NVIDIA GPUs (NVML).

RAPL is read from Linux's powercap files, which on most systems only the superuser may read. NVML is read with
NVIDIA's ``nvidia-ml-py``, if it is installed. The counters cover the whole package or GPU: they include the
energy of other programs and of an idle machine.
"""

import contextlib
import re
from pathlib import Path
from typing import Any

from harness.core.machine.worker_variables import visible_gpus

_POWERCAP = Path("/sys/class/powercap")

#: Joules of each counter, by its name.
Reading = dict[str, float]


class EnergyMeter:
    """The counters that can be read here.

    ``devices`` are named as backends name them, ``cpu`` or ``cuda:0 (NVIDIA H100)``, each with the
    ``CUDA_VISIBLE_DEVICES`` of its process: CUDA's numbers depend on it, NVML's do not.
    """

    def __init__(self, devices: list[tuple[str, str | None]], powercap: Path = _POWERCAP) -> None:
        gpus = _gpus(devices)
        self._gpus = gpus or {}
        # Without one of the GPUs the processor's energy alone would be reported as that of the work.
        zones = [] if gpus is None else sorted(powercap.glob("intel-rapl:[0-9]*"))
        ranges = {str(zone): _range_joules(zone) for zone in zones}
        self._packages = {zone: joules for zone, joules in ranges.items() if joules is not None}

    @property
    def available(self) -> bool:
        """Whether there is any counter."""
        return bool(self._packages or self._gpus)

    def read(self) -> Reading:
        """Read all counters that work. Call it outside of timed work."""
        joules = {}
        for zone in self._packages:
            with contextlib.suppress(OSError, ValueError):
                joules[zone] = _joules(Path(zone), "energy_uj")
        for name, (library, handle) in self._gpus.items():
            with contextlib.suppress(Exception):  # NVML's own errors, which only the library defines
                joules[name] = library.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
        return joules

    def between(self, before: Reading, after: Reading) -> float | None:
        """Compute the joules used between two readings; None if a counter failed or there is none."""
        whole = self._packages.keys() | self._gpus.keys()
        if not whole or not before.keys() == after.keys() == whole:
            return None
        taken = 0.0
        for name, joules in after.items():
            used = joules - before[name]
            taken += used if used >= 0 else used + self._packages.get(name, 0.0)
        return taken


def _range_joules(zone: Path) -> float | None:
    """Return where a processor's counter wraps around, in joules; None if unreadable or no processor.

    One of the other zones is ``psys``, the whole board, which includes the processors.
    """
    with contextlib.suppress(OSError, ValueError):
        if (zone / "name").read_text().startswith("package") and _joules(zone, "energy_uj") >= 0:
            return _joules(zone, "max_energy_range_uj")
    return None


def _joules(zone: Path, name: str) -> float:
    return float((zone / name).read_text()) / 1e6


def _gpus(devices: list[tuple[str, str | None]]) -> dict[str, tuple[Any, Any]] | None:
    """Return NVML's handle of each CUDA device in use; None if NVML cannot read a device."""
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
    """Return a CUDA device's number or UUID outside its process, and its name; None for other devices."""
    match = re.match(r"cuda(?::(\d+))?(?: \((.+)\))?$", device)
    if match is None:
        return None
    number = int(match[1] or 0)
    entries = visible_gpus(visible, number)
    return (entries[number], match[2] or "") if number < len(entries) else None


def _handle(library: Any, entry: str, name: str) -> Any:
    """Return NVML's handle of the GPU ``entry``, a number or a UUID.

    Raises:
        LookupError: NVML's device of this number has another name. NVML numbers GPUs by their bus, CUDA by
            default from the fastest.
    """
    by_number = entry.isdecimal()
    handle = (
        library.nvmlDeviceGetHandleByIndex(int(entry))
        if by_number
        else library.nvmlDeviceGetHandleByUUID(entry)
    )
    if by_number and name and library.nvmlDeviceGetName(handle) != name:
        raise LookupError(f"NVML's device {entry} is not {name}")
    return handle
