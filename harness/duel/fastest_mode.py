"""The fastest mode of a backend on one task, from a short duel of its modes where it is not known yet."""

from pathlib import Path
from typing import Protocol

import msgspec

from harness.duel.mode_times import ModeTimes, keep, kept, key_of, machine_of, work_sha256
from harness.duel.preparation import is_certified
from harness.duel.record import DuelRecord
from harness.duel.runner import Duel, DuelObserver
from harness.duel.workloads import DuelRequest, Workload
from harness.errors import HarnessError
from harness.plugins import registry
from harness.plugins.installation import identifying_versions
from harness.plugins.selection import BEST
from harness.runs.record import DatasetRecord
from harness.runs.request import RunRequest

#: A verdict on each mode is not needed: modes whose times hardly differ are as good as each other.
BUDGET_SECONDS = 300.0
_MARGIN = 0.02


class ModeObserver(DuelObserver, Protocol):
    """Follows the choice of a mode while it is made."""

    def timing_modes(self, label: str, task: str, modes: list[str]) -> None:
        """These modes are about to be timed."""

    def chosen(self, times: ModeTimes) -> None:
        """The fastest mode is known."""


class FastestModes:
    """Finds them, each once; duels are written to ``folder``."""

    def __init__(self, folder: Path, observer: ModeObserver, *, certify: bool) -> None:
        self._folder = folder
        self._observer = observer
        self._certify = certify
        self._known: dict[str, str] = {}

    def resolved(self, workload: Workload, dataset: DatasetRecord) -> Workload:
        """The workload in the fastest mode where its mode is ``best``; otherwise itself.

        Raises:
            HarnessError: no mode can be timed; says why.
        """
        if workload.configuration.mode != BEST:
            return workload
        key = key_of(workload)
        if key not in self._known:
            if times := kept(key):
                self._observer.chosen(times)
            self._known[key] = times.fastest if times else self._measured(key, workload, dataset)
        return _in_mode(workload, self._known[key])

    def _measured(self, key: str, workload: Workload, dataset: DatasetRecord) -> str:
        """The fastest mode by a duel of all that work; it is kept unless only one does."""
        modes = registry.backend(workload.configuration.backend).modes
        workloads, failed = self._certified([_in_mode(workload, mode) for mode in modes])
        while len(workloads) > 1:
            self._observer.timing_modes(workload.label, workload.task.name, [_mode(w) for w in workloads])
            duel = Duel(self._request(workloads, dataset), self._folder, self._observer)
            record = duel.carry_out()
            if record.status == "interrupted":
                raise KeyboardInterrupt
            if record.status == "ok" and all(result.ratio for result in record.results):
                times = _times(key, workload, record, failed)
                keep(times)
                self._observer.chosen(times)
                return times.fastest
            if duel.failed_label is None:
                reason = record.failure.rstrip(".") or "every pair was disturbed"
                where = f"{workload.label} on {workload.task.name}"
                raise HarnessError(f"{where}: its modes could not be timed ({reason}). Name a mode instead.")
            failed |= {_mode(w): record.failure for w in workloads if w.label == duel.failed_label}
            workloads = [w for w in workloads if w.label != duel.failed_label]
        if not workloads:
            reasons = "; ".join(failed.values())
            raise HarnessError(f"{workload.label} on {workload.task.name}: no mode works: {reasons}")
        return _mode(workloads[0])

    def _certified(self, workloads: list[Workload]) -> tuple[list[Workload], dict[str, str]]:
        """Those to be timed; and why not, by mode: a mode that computes something else must not win."""
        if not self._certify or registry.task(workloads[0].task.name).reference is None:
            return workloads, {}
        certified = [workload for workload in workloads if is_certified(workload)]
        failed = {_mode(w): f"{w.label} is not certified" for w in workloads if w not in certified}
        return certified, failed

    def _request(self, workloads: list[Workload], dataset: DatasetRecord) -> DuelRequest:
        return DuelRequest(
            workloads=workloads,
            dataset=dataset,
            margin=_MARGIN,
            budget_seconds=BUDGET_SECONDS,
            certify=self._certify and registry.task(workloads[0].task.name).reference is not None,
        )


def _in_mode(workload: Workload, mode: str) -> Workload:
    configuration = msgspec.structs.replace(workload.configuration, mode=mode)
    return msgspec.structs.replace(workload, configuration=configuration, label=configuration.label)


def _mode(workload: Workload) -> str:
    return workload.configuration.mode


def _times(key: str, workload: Workload, record: DuelRecord, failed: dict[str, str]) -> ModeTimes:
    first, *others = record.configurations
    ratios = {first.configuration.mode: 1.0} | {
        other.configuration.mode: result.ratio.value
        for other, result in zip(others, record.results, strict=True)
        if result.ratio
    }
    least = min(ratios.values())
    return ModeTimes(
        key=key,
        backend=first.configuration.backend,
        versions=identifying_versions(first.configuration.backend, first.framework),
        task=workload.task.name,
        options=workload.options,
        work_sha256=work_sha256(workload.task),
        machine=machine_of(record.machine),
        device=first.device,
        precision=first.configuration.precision,
        threads=first.configuration.threads,
        times={mode: ratio / least for mode, ratio in ratios.items()},
        day=record.started_at[:10],
        failed=failed,
    )


# Runs whose mode is ``best``, each in the mode that is fastest on this machine.


def asks_for_fastest(requests: list[RunRequest]) -> bool:
    """Whether a run asks for the fastest mode."""
    return any(request.configuration.mode == BEST for request in requests)


def in_fastest_modes(requests: list[RunRequest], modes: FastestModes) -> list[RunRequest]:
    """The requests with ``best`` resolved; one that then equals another is left out.

    Raises:
        HarnessError: no mode of a backend can be timed; says why.
    """
    resolved: list[RunRequest] = []
    for request in requests:
        found = _resolved(request, modes)
        if found not in resolved:
            resolved.append(found)
    return resolved


def _resolved(request: RunRequest, modes: FastestModes) -> RunRequest:
    asked = request.configuration
    workload = Workload(label=asked.label, configuration=asked, task=request.task, options=request.options)
    return msgspec.structs.replace(
        request, configuration=modes.resolved(workload, request.dataset).configuration
    )
