"""The same comparison on several machines: its ratios side by side, without mixing times."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from harness.core.documents.numbers import counted
from harness.core.stats.estimate import Estimate
from harness.learning.runs.comparison import Comparison, pairs_with
from harness.timing.duel.record import DuelRecord


class MachineRatios(NamedTuple):
    """A machine, and step times over the reference's by configuration.

    ``host`` is empty where it is not recorded; ``unreliable`` names the configurations whose ratio is.
    """

    host: str
    model: str
    ratios: dict[str, Estimate | None]
    unreliable: frozenset[str] = frozenset()


class AcrossMachines(NamedTuple):
    """A comparison that two or more machines have made; a machine may lack some of the configurations."""

    title: str
    reference: str
    machines: list[MachineRatios]

    @property
    def configurations(self) -> list[str]:
        """The names of all configurations but the reference."""
        return list(dict.fromkeys(name for machine in self.machines for name in machine.ratios))


def runs_across_machines(
    comparisons: Iterable[Comparison], duels: Sequence[DuelRecord]
) -> list[AcrossMachines]:
    """Return the comparisons of runs that differ in the machine alone.

    The reference is the fastest configuration of the first machine; another may be fastest elsewhere.
    """
    alike: dict[Hashable, list[Comparison]] = defaultdict(list)
    for comparison in comparisons:
        if comparison.pairs and not comparison.group.axes:
            alike[comparison.group.conditions.apart_from("machine", "host")].append(comparison)
    return [_of_runs(several, duels) for several in alike.values() if len(several) > 1]


def _of_runs(comparisons: list[Comparison], duels: Sequence[DuelRecord]) -> AcrossMachines:
    reference = comparisons[0].summaries[0].name
    machines = []
    for comparison in comparisons:
        own = [summary for summary in comparison.summaries if summary.name == reference]
        others = [summary for summary in comparison.summaries if summary.name != reference]
        pairs = pairs_with(comparison.group, own[0], others, None, duels) if own else []
        ratios = {pair.other.name: pair.ratio for pair in pairs}
        unreliable = frozenset(pair.other.name for pair in pairs if pair.speed_verdict == "unreliable")
        conditions = comparison.group.conditions
        machines.append(MachineRatios(conditions.host, conditions.machine, ratios, unreliable))
    epochs = counted(conditions.epochs, "epoch")
    return AcrossMachines(f"{conditions.task} on {conditions.dataset}, {epochs}", reference, machines)


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
        MachineRatios(host, model, {result.configuration: result.ratio for result in duel.results})
        for (host, model), duel in duels.items()
    ]
    duel = next(iter(duels.values()))
    data = f" on {duel.dataset_name}" if duel.dataset_name else ""
    return AcrossMachines(f"{duel.work_name}{data}, duels", duel.configurations[0].label, machines)
