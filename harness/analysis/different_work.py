"""Configurations whose first losses differ although task, data and seed are the same."""

from typing import NamedTuple

from harness.analysis.axes import has_equal_losses
from harness.analysis.grouping import ConfigurationRuns, RunGroup
from harness.audit.comparison import first_difference
from harness.certify.dropout import uses_dropout
from harness.runs.record import Record
from harness.spec.backend import Precision


class DifferentWork(NamedTuple):
    """Two configurations that do different work: the first step whose loss is not the same in both."""

    task: str
    title: str
    configurations: tuple[str, str]
    runs: int
    seed: int
    step: int
    losses: tuple[float | None, float | None]


def different_work(group: RunGroup) -> DifferentWork | None:
    """The first pair of configurations of a group whose runs with one seed begin with different losses.

    All of them start from the same weights and see the same batches, so the losses are equal until rounding
    separates the trainings. Tasks with dropout are left out: each framework drops other values. So are
    configurations that differ along axes that change the losses, such as the learning rate.
    """
    first, *others = group.configurations
    if not others or not has_equal_losses(group.axes) or uses_dropout(first.runs[0].record.task.description):
        return None
    ours = _records_by_seed(first)
    for other in others:
        for seed, theirs in _records_by_seed(other).items():
            if seed in ours and (step := _differing_step(ours[seed], theirs)) is not None:
                return DifferentWork(
                    task=group.conditions.task,
                    title=group.title,
                    configurations=(first.name, other.name),
                    runs=sum(len(configuration.runs) for configuration in group.configurations),
                    seed=seed,
                    step=step + 1,
                    losses=(ours[seed].first_losses[step][-1], theirs.first_losses[step][-1]),
                )
    return None


def _records_by_seed(configuration: ConfigurationRuns) -> dict[int, Record]:
    return {run.record.seed: run.record for run in configuration.runs if run.record.first_losses}


def _differing_step(ours: Record, theirs: Record) -> int | None:
    count = min(len(ours.first_losses), len(theirs.first_losses))
    precision: Precision = ours.precision
    return first_difference(ours.first_losses[:count], theirs.first_losses[:count], precision)
