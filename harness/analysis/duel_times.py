"""The times of duels, where there are some of two sides: what belongs beside their quality."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from harness.analysis.conditions import machine_text, variables_text
from harness.analysis.grouping import ConfigurationRuns, RunGroup
from harness.duel.record import ConfigurationRecord, DuelRecord, DuelResult
from harness.duel.workloads import PADDING
from harness.machine.cpus import WORKER_CPUS
from harness.plugins.versions import side_versions
from harness.stats.estimate import Estimate

#: Variables that a device, or a number of threads, stands for, or that only make sides alike.
_TOLD_OTHERWISE = {PADDING, WORKER_CPUS, "CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS"}


class DuelTime(NamedTuple):
    """How many times as fast one side trains as another by a duel, and the duel that says so.

    ``margin`` is what the duel took for the same, as 0.02.
    """

    ratio: Estimate
    margin: float
    result: DuelResult
    day: str


def duel_time(
    duels: Sequence[DuelRecord], group: RunGroup, fast: ConfigurationRuns, slow: ConfigurationRuns
) -> DuelTime | None:
    """The newest duel of these two sides in this setting that came to its end and stands by it; else None.

    All must be the same that a run's setting holds, but the number of epochs: a step does not know it. And
    processes must have been started alike: ``--b-env`` and ``--environment plain`` make another duel.
    """
    for duel in reversed(duels):
        if duel.status != "ok" or not duel.results or not _fits(duel, group):
            continue
        first, *others = duel.configurations
        for other, comparison in zip(others, duel.results, strict=True):
            if comparison.reason:  # the duel itself does not stand by its times
                continue
            if comparison.ratio is None or comparison.ratio.low is None:
                continue
            slower_second = _is(first, fast, group) and _is(other, slow, group)
            if slower_second or (_is(first, slow, group) and _is(other, fast, group)):
                speed = comparison.ratio if slower_second else comparison.ratio.inverse()
                return DuelTime(speed, duel.margin, comparison, duel.started_at[:10])
    return None


def _fits(duel: DuelRecord, group: RunGroup) -> bool:
    conditions = group.conditions
    description = group.configurations[0].runs[0].record.task.description
    ours = msgspec.structs.replace(duel.task.description, epochs=description.epochs)
    return (
        ours == description
        and duel.dataset.fingerprint == conditions.fingerprint
        and machine_text(duel.machine) == conditions.machine
        and variables_text(duel.inherited_variables) == conditions.variables
        and all(side.certificate and side.certificate.certified for side in duel.configurations)
    )


def _is(duelled: ConfigurationRecord, side: ConfigurationRuns, group: RunGroup) -> bool:
    record, conditions = side.runs[0].record, group.conditions
    return (
        (duelled.backend, duelled.mode) == (record.backend, record.mode)
        and side_versions(duelled.backend, duelled.framework)
        == side_versions(record.backend, record.framework)
        and (duelled.precision, duelled.threads) == (conditions.precision, conditions.threads)
        and (duelled.device, duelled.batch_size) == (conditions.device, record.batch_size)
        and _variables(duelled.variables) == _variables(record.worker_variables)
    )


def _variables(settings: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in settings.items() if name not in _TOLD_OTHERWISE}
