"""What a run keeps of the explanations of its network; without NumPy, which listing does not need."""

from pathlib import Path

import msgspec

from harness.core.runs.extensions import AfterTraining
from harness.core.runs.record import Record
from harness.spec.task import Task

#: The name of the entry of :attr:`Record.extensions`, by which a study asks for it.
EXPLANATIONS = "explanations"


class MapsOfMethod(msgspec.Struct, frozen=True):
    """The maps of one method on the same test samples in every run, as ranks, and their quality.

    ``ranks`` are twice the ranks of the positions of each sample, little-endian uint16 ``(rows, positions)``;
    twice, because the ranks of equal values are means. ``deletion`` and ``insertion`` are mean outputs by the
    share of positions that was removed or restored, the most relevant first. ``randomised`` are the layers in
    the order in which they were re-initialised, from the last to the first, with the mean rank correlation of
    the maps before and after; None where a map is constant.
    """

    ranks: bytes
    deletion: list[float]
    insertion: list[float]
    randomised: list[tuple[str, float | None]]


class ExplainedNetwork(msgspec.Struct, frozen=True):
    """Maps of the best epoch's network on ``rows`` test samples, of the logit of the right class, by method.

    ``chance_deletion`` and ``chance_insertion`` are the curves of a random order.
    """

    rows: int
    positions: int
    methods: dict[str, MapsOfMethod]
    chance_deletion: list[float]
    chance_insertion: list[float]

    def __post_init__(self) -> None:
        """Refuse a damaged record, whose parts have other lengths."""
        length = 2 * self.rows * self.positions
        if any(len(maps.ranks) != length for maps in self.methods.values()):
            raise ValueError(f"the maps have another length than {self.rows} rows of {self.positions}")


def explained_network(record: Record) -> ExplainedNetwork | None:
    """Return the maps of a run's network; None of a run that was not asked for them."""
    return record.extension(EXPLANATIONS, ExplainedNetwork)


class Explanations(AfterTraining):
    """Explains the network of the best epoch, on the same test samples in every run."""

    name = EXPLANATIONS
    title = "Explanations"
    phase = "explaining"
    operation = "harness.weights.explain.networks:operation"
    in_every_run = False

    def applies(self, task: Task) -> bool:
        """Check whether the task has the network whose outputs are explained."""
        return "model" in task.networks

    def arguments(self, record: Record, last_state: Path) -> dict[str, object] | None:
        """Return no arguments; None where no epoch is the best one, because nothing was scored."""
        return None if record.best_epoch is None else {}


WORK = Explanations()
