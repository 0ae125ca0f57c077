"""Step times of a backend's modes on one task, measured in turn and kept in the user's cache.

An entry is valid for the machine, the task with its options and batch size, device, precision, threads, and
the versions of the framework and of its plugin.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from harness.core.machine.cache import cache_folder, read_cached, write_cached
from harness.core.machine.cpus import allowed_cpus
from harness.core.machine.description import Machine, cpu_model, this_host
from harness.core.plugins.installation import has_versions, identifying_versions
from harness.core.plugins.options import Value
from harness.core.runs.record import Record
from harness.spec.backend import Precision
from harness.spec.description import description_sha256
from harness.spec.task import Task
from harness.timing.engine.record import ConfigurationRecord
from harness.timing.engine.workloads import Workload


class ModeTimes(msgspec.Struct, frozen=True, kw_only=True):
    """The modes of a backend on one task, and their step times over that of the fastest."""

    key: str
    """The name of its file: a hash of what was asked, and of the machine."""
    backend: str
    versions: dict[str, str]
    task: str
    options: dict[str, Value]
    work_sha256: str
    """Hash of the task's description apart from its epochs."""
    machine: list[str]
    device: str
    precision: Precision
    threads: int
    times: Annotated[dict[str, Annotated[float, msgspec.Meta(gt=0)]], msgspec.Meta(min_length=1)]
    day: str
    """When it was measured, ``2026-01-31``."""
    failed: dict[str, str] = {}
    """Modes that could not be timed, and why."""

    @property
    def fastest(self) -> str:
        """The mode with the shortest step time."""
        return min(self.times, key=self.times.__getitem__)


def work_sha256(task: Task) -> str:
    """Return the hash of the work of one step of the task, which the number of epochs does not affect."""
    return description_sha256(msgspec.structs.replace(task, epochs=1))


def this_machine() -> list[str]:
    """Return the identity of the machine on which this process runs, as :func:`machine_of` does."""
    return [cpu_model(), str(len(allowed_cpus())), this_host().text]


def machine_of(machine: Machine) -> list[str]:
    """Return the identity of the machine of a record."""
    return [machine.cpu, str(machine.allowed_cpus), machine.host_text]


def key_of(workload: Workload) -> str:
    """Return the key of the times of this workload's modes on this machine, whatever its own mode."""
    own = workload.configuration
    asked = [own.backend, own.device, own.precision, own.threads, work_sha256(workload.task)]
    return hashlib.sha256(msgspec.json.encode([*asked, *this_machine()])).hexdigest()[:32]


def kept(key: str) -> ModeTimes | None:
    """Return the entry with this key; None without one, or where other versions are installed now."""
    return _read(_folder() / f"{key}.json")


def all_kept() -> Iterator[ModeTimes]:
    """Yield every entry of this machine and the installed versions."""
    machine = this_machine()
    for path in sorted(_folder().glob("*.json")):
        entry = _read(path)
        if entry is not None and entry.machine == machine:
            yield entry


def keep(entry: ModeTimes) -> None:
    """Write an entry; a cache that cannot be written only costs time."""
    write_cached(_folder() / f"{entry.key}.json", entry)


def times_of(
    entries: Iterable[ModeTimes], ran: Record | ConfigurationRecord, task: Task, machine: Machine
) -> ModeTimes | None:
    """Return the entry about the modes of a configuration that ran; None without a matching one."""
    versions = identifying_versions(ran.configuration.backend, ran.framework)
    facts = (
        ran.configuration.backend,
        ran.device,
        ran.configuration.precision,
        ran.configuration.threads,
        versions,
        machine_of(machine),
    )
    work = msgspec.structs.replace(task, batch_size=ran.batch_size if task.batch_size else None)
    for entry in entries:
        measured = entry.backend, entry.device, entry.precision, entry.threads, entry.versions, entry.machine
        fits = measured == facts and ran.configuration.mode in entry.times
        if fits and entry.work_sha256 == work_sha256(work):
            return entry
    return None


def _folder() -> Path:
    return cache_folder() / "mode-times"


def _read(path: Path) -> ModeTimes | None:
    entry = read_cached(path, ModeTimes)
    if entry is None or entry.key != path.stem or not has_versions(entry.backend, entry.versions):
        return None
    return entry
