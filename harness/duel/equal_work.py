"""Whether the processes of a pair begin with equal losses, as the same work on the same data does."""

from collections.abc import Sequence

from harness.audit.comparison import first_difference
from harness.certify.dropout import uses_dropout
from harness.duel.record import PairRecord
from harness.duel.workloads import Workload
from harness.errors import HarnessError


def refuse_unequal_work(workloads: Sequence[Workload], pair: PairRecord) -> None:
    """Compare the first losses of each workload with those of the reference.

    They can be compared where both have the same batches and precision, and no dropout, whose values each
    framework draws for itself.

    Raises:
        HarnessError: they differ; names the first step that does.
    """
    reference, *others = workloads
    if uses_dropout(reference.task):
        return
    first, *processes = pair.processes
    for other, process in zip(others, processes, strict=True):
        if other.task != reference.task or other.seed != reference.seed:
            continue
        precision = reference.configuration.precision
        count = min(len(first.first_losses), len(process.first_losses))
        if other.configuration.precision != precision or not count:
            continue
        ours, theirs = first.first_losses[:count], process.first_losses[:count]
        step = first_difference(ours, theirs, precision)
        if step is not None:
            raise HarnessError(
                f"{reference.label} and {other.label} do different work on this data: the loss of step "
                f"{step + 1} is {ours[step][-1]} and {theirs[step][-1]}"
            )
