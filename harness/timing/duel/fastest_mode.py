"""The fastest mode of a backend on one task, from a short duel of its modes unless it is known."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from harness.core.plugins import registry
from harness.core.plugins.installation import identifying_versions
from harness.core.plugins.selection import BEST
from harness.core.runs.record import DatasetRecord
from harness.core.runs.request import RunRequest
from harness.errors import HarnessError
from harness.timing.duel.mode_times import ModeTimes, keep, kept, key_of, machine_of, work_sha256
from harness.timing.duel.record import DuelRecord
from harness.timing.duel.request import DuelRequest
from harness.timing.duel.runner import Duel, DuelEvent
from harness.timing.engine.preparation import is_certified
from harness.timing.engine.workloads import Workload

#: A verdict on each mode is not needed: modes whose times hardly differ are as good as each other.
BUDGET_SECONDS = 300.0
_MARGIN = 0.02


class TimingModes(NamedTuple):
    """These modes of a backend are about to be timed; ``label`` is as on the command line, ``torch:best``."""

    label: str
    task: str
    modes: list[str]


class FastestMode(NamedTuple):
    """The fastest mode is known."""

    times: ModeTimes


#: The progress of the search for the fastest mode.
ModeEvent = DuelEvent | TimingModes | FastestMode


@dataclass(eq=False)
class FastestModes:
    """The search for fastest modes, each once; duels are written to ``folder``."""

    folder: Path
    notify: Callable[[ModeEvent], None]
    certify: bool
    _known: dict[str, str] = field(default_factory=dict)

    def choose(self, workloads: Sequence[Workload], dataset: DatasetRecord) -> Workload:
        """Return the fastest of workloads that differ in their mode alone.

        Raises:
            HarnessError: no mode can be timed; says why.
        """
        if len(workloads) == 1:
            return workloads[0]
        key = key_of(workloads[0])
        if key not in self._known:
            if times := kept(key):
                self.notify(FastestMode(times))
            self._known[key] = times.fastest if times else self._measured(key, workloads, dataset)
        return next(workload for workload in workloads if _mode(workload) == self._known[key])

    def _measured(self, key: str, contenders: Sequence[Workload], dataset: DatasetRecord) -> str:
        """Find the fastest mode by a duel of all that work; keep the times unless only one works."""
        task = contenders[0].task.name
        label = f"{contenders[0].configuration.backend}:{BEST}"
        certify = self.certify and registry.task(task).reference is not None
        # A mode that computes something else must not win.
        workloads = [workload for workload in contenders if not certify or is_certified(workload)]
        failed = {_mode(w): f"{w.label} is not certified" for w in contenders if w not in workloads}
        while len(workloads) > 1:
            self.notify(TimingModes(label, task, [_mode(workload) for workload in workloads]))
            request = DuelRequest(
                workloads=workloads,
                dataset=dataset,
                margin=_MARGIN,
                budget_seconds=BUDGET_SECONDS,
                fewest_pairs=0,
                certify=certify,
            )
            duel = Duel(request, self.folder, self.notify)
            record = duel.carry_out()
            if record.status == "interrupted":
                raise KeyboardInterrupt
            if record.status == "ok" and all(result.ratio for result in record.results):
                times = _times(key, contenders[0], record, failed)
                keep(times)
                self.notify(FastestMode(times))
                return times.fastest
            if duel.failed_label is None:
                reason = record.failure.rstrip(".") or "every pair was disturbed"
                raise HarnessError(
                    f"{label} on {task}: its modes could not be timed ({reason}). Name a mode instead."
                )
            failed |= {_mode(w): record.failure for w in workloads if w.label == duel.failed_label}
            workloads = [w for w in workloads if w.label != duel.failed_label]
        if not workloads:
            reasons = "; ".join(failed.values())
            raise HarnessError(f"{label} on {task}: no mode works: {reasons}")
        return _mode(workloads[0])


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


def fastest_runs(choices: Iterable[Sequence[RunRequest]], modes: FastestModes) -> list[RunRequest]:
    """Return the fastest of each choice of runs, which differ in their mode alone; each only once.

    Raises:
        HarnessError: no mode of a backend can be timed; says why.
    """
    chosen: list[RunRequest] = []
    for choice in choices:
        fastest = _fastest_run(choice, modes)
        if fastest not in chosen:
            chosen.append(fastest)
    return chosen


def _fastest_run(choice: Sequence[RunRequest], modes: FastestModes) -> RunRequest:
    workloads = [
        Workload(
            label=request.configuration.label,
            configuration=request.configuration,
            task=request.task,
            options=request.options,
        )
        for request in choice
    ]
    return choice[workloads.index(modes.choose(workloads, choice[0].dataset))]
