"""The same comparison on several machines: its ratios side by side, without mixing times."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from harness.core.stats.estimate import Estimate
from harness.learning.runs.comparison import Comparison, duel_time, step_ratio
from harness.learning.runs.configuration_summary import ConfigurationSummary, timing_warnings
from harness.learning.runs.grouping import RunGroup
from harness.timing.duel.record import DuelRecord


class MachineRatio(NamedTuple):
    """A configuration's step time over the reference's on one machine; ``doubted`` if it is unreliable."""

    ratio: Estimate | None
    doubted: bool = False


class MachineRatios(NamedTuple):
    """A machine, and its ratios by configuration. ``host`` is empty where it is not recorded."""

    host: str
    model: str
    ratios: dict[str, MachineRatio]


class AcrossMachines(NamedTuple):
    """A comparison that two or more machines have made; a machine may lack some of the configurations."""

    title: str
    reference: str
    configurations: list[str]
    machines: list[MachineRatios]


def runs_across_machines(
    comparisons: Iterable[Comparison], duels: Sequence[DuelRecord]
) -> list[AcrossMachines]:
    """Return the comparisons of runs that differ in the machine alone.

    The reference is the fastest configuration of the first machine; another may be fastest elsewhere. A
    ratio comes from a duel where there is one, as in :func:`harness.learning.runs.comparison.compare`.
    """
    alike: dict[Hashable, list[Comparison]] = defaultdict(list)
    for comparison in comparisons:
        if comparison.pairs and not comparison.group.axes:
            anywhere = msgspec.structs.replace(comparison.group.conditions, machine="", host="")
            alike[anywhere].append(comparison)
    return [_of_runs(several, duels) for several in alike.values() if len(several) > 1]


def _of_runs(comparisons: list[Comparison], duels: Sequence[DuelRecord]) -> AcrossMachines:
    first = comparisons[0]
    reference = first.summaries[0].name
    machines = []
    for comparison in comparisons:
        named = {summary.name: summary for summary in comparison.summaries}
        ratios = {
            name: _ratio(comparison.group, named[reference], summary, duels)
            for name, summary in named.items()
            if reference in named and name != reference
        }
        group = comparison.group.conditions
        machines.append(MachineRatios(group.host, group.machine, ratios))
    conditions = first.group.conditions
    epochs = f"{conditions.epochs} epoch{'s' * (conditions.epochs != 1)}"
    return _across(f"{conditions.task} on {conditions.dataset}, {epochs}", reference, machines)


def _ratio(
    group: RunGroup,
    reference: ConfigurationSummary,
    other: ConfigurationSummary,
    duels: Sequence[DuelRecord],
) -> MachineRatio:
    duel = duel_time(duels, group, reference.configuration, other.configuration)
    if duel is not None:
        return MachineRatio(duel.ratio)
    ratio = step_ratio(other.configuration, reference.configuration)
    return MachineRatio(ratio, ratio is not None and timing_warnings([reference, other], ratio.n).any)


def duels_across_machines(duels: Iterable[DuelRecord]) -> list[AcrossMachines]:
    """Return the duels of the same configurations on the same work that several machines have made."""
    alike: dict[Hashable, dict[tuple[str, str], DuelRecord]] = defaultdict(dict)
    for duel in sorted(duels, key=lambda duel: duel.started_at):
        if duel.results:
            alike[_work(duel)][duel.machine.host_text, duel.machine.model_text] = duel  # the newest counts
    return [_of_duels(of_work) for of_work in alike.values() if len(of_work) > 1]


def _work(duel: DuelRecord) -> Hashable:
    configurations = tuple(
        (
            each.label,
            each.device.partition(" ")[0],
            each.configuration.precision,
            each.configuration.threads,
            each.batch_size,
        )
        for each in duel.configurations
    )
    if duel.task is None or duel.dataset is None:
        return duel.work_name, str(duel.options), configurations
    return duel.task.name, duel.task.sha256, duel.dataset.fingerprint, configurations


def _of_duels(duels: dict[tuple[str, str], DuelRecord]) -> AcrossMachines:
    machines = [
        MachineRatios(
            host, model, {result.configuration: MachineRatio(result.ratio) for result in duel.results}
        )
        for (host, model), duel in duels.items()
    ]
    duel = next(iter(duels.values()))
    data = f" on {duel.dataset_name}" if duel.dataset_name else ""
    title = f"{duel.work_name}{data}, duels"
    return _across(title, duel.configurations[0].label, machines)


def _across(title: str, reference: str, machines: list[MachineRatios]) -> AcrossMachines:
    names = dict.fromkeys(name for machine in machines for name in machine.ratios)
    return AcrossMachines(title, reference, list(names), machines)
