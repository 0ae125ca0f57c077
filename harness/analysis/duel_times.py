"""The times of duels: they take precedence over those of runs where there is a duel of two configurations."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from harness.analysis.grouping import ConfigurationRuns, RunGroup
from harness.duel.record import ConfigurationRecord, DuelRecord, DuelResult
from harness.duel.workloads import PADDING
from harness.machine.cpus import WORKER_CPUS
from harness.machine.worker_variables import variables_text
from harness.plugins.installation import identifying_versions
from harness.stats.estimate import Estimate

#: Variables that follow from the device or the number of threads, or only make environments equally long.
_IMPLIED = {PADDING, WORKER_CPUS, "CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS"}


class DuelTime(NamedTuple):
    """The ratio of step times of two configurations from a duel, and that duel's result.

    ``margin`` is the difference up to which the duel calls them the same, such as 0.02.
    """

    ratio: Estimate
    margin: float
    result: DuelResult
    day: str


def duel_time(
    duels: Sequence[DuelRecord], group: RunGroup, reference: ConfigurationRuns, other: ConfigurationRuns
) -> DuelTime | None:
    """The time of ``other`` over that of ``reference`` from their newest usable duel; None without one.

    A duel is usable if it ended, its pairs can be trusted, and it was made under the conditions of the runs
    apart from the number of epochs, which does not affect a step. Its processes must have had the same
    variables as the runs: ``--b-env`` and ``--process-environment plain`` make another duel.
    """
    for duel in reversed(duels):
        if duel.status != "ok" or not duel.results or not _fits(duel, group):
            continue
        first, *others = duel.configurations
        for second, result in zip(others, duel.results, strict=True):
            ratio = result.ratio
            if result.reason is not None or ratio is None or ratio.low is None:
                continue
            in_order = _is(first, reference, group) and _is(second, other, group)
            if in_order or (_is(first, other, group) and _is(second, reference, group)):
                return DuelTime(
                    ratio if in_order else ratio.inverse(), duel.margin, result, duel.started_at[:10]
                )
    return None


def _fits(duel: DuelRecord, group: RunGroup) -> bool:
    conditions = group.conditions
    if duel.task is None or duel.dataset is None:  # of steps of the user's own
        return False
    description = group.configurations[0].runs[0].record.task.description
    task = msgspec.structs.replace(duel.task.description, epochs=description.epochs)
    return (
        task == description
        and duel.dataset.fingerprint == conditions.fingerprint
        and duel.machine.model_text == conditions.machine
        and duel.machine.host_text == conditions.host
        and variables_text(duel.inherited_variables) == conditions.variables
        and all(own.certificate and own.certificate.certified for own in duel.configurations)
    )


def _is(of_duel: ConfigurationRecord, of_runs: ConfigurationRuns, group: RunGroup) -> bool:
    record, conditions = of_runs.runs[0].record, group.conditions
    return (
        (of_duel.configuration.backend, of_duel.configuration.mode)
        == (record.configuration.backend, record.configuration.mode)
        and identifying_versions(of_duel.configuration.backend, of_duel.framework)
        == identifying_versions(record.configuration.backend, record.framework)
        and (of_duel.configuration.precision, of_duel.configuration.threads)
        == (conditions.precision, conditions.threads)
        and (of_duel.device, of_duel.batch_size) == (conditions.device, record.batch_size)
        and _distinctive(of_duel.variables) == _distinctive(record.worker_variables)
    )


def _distinctive(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name not in _IMPLIED}
