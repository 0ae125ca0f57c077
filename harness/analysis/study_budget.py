"""The part of a study that fits a time budget: seeds are cut first, then remedies."""

import statistics
from collections.abc import Collection, Sequence
from typing import NamedTuple

from harness.analysis.study import FEWEST_SEEDS
from harness.analysis.study_planning import StudyRun
from harness.runs.record import Record


class StudySize(NamedTuple):
    """The number of variants that are run, from the first, and of seeds."""

    variants: int
    seeds: int

    def includes(self, variant: int, seed: int) -> bool:
        """Whether a run of this variant (an index) and seed is part of it."""
        return variant < self.variants and seed < self.seeds


def study_size(
    missing: Collection[tuple[int, int]],
    run_seconds: float,
    budget_seconds: float,
    variants: int,
    seeds: int,
) -> StudySize:
    """The largest size whose ``missing`` runs, each a variant's index and a seed, fit the budget.

    Seeds are cut first, down to the two that an interval needs; then remedies from the end of the list,
    down to one. The smallest size is returned even if it exceeds the budget: the deadline then ends the
    study. Recorded runs cost nothing.
    """
    fewest = min(seeds, FEWEST_SEEDS)
    sizes = [StudySize(variants, count) for count in range(seeds, fewest, -1)]
    sizes += [StudySize(count, fewest) for count in range(variants, 1, -1)]
    sizes = sizes or [StudySize(variants, fewest)]

    def seconds(size: StudySize) -> float:
        return run_seconds * sum(size.includes(variant, seed) for variant, seed in missing)

    return next((size for size in sizes if seconds(size) <= budget_seconds), sizes[-1])


def runs_within(
    missing: Sequence[StudyRun], run_seconds: float, budget_seconds: float, variants: int, seeds: int
) -> tuple[StudySize, list[StudyRun]]:
    """The size that fits the budget, and those of the ``missing`` runs that it includes."""
    cells = [(run.variant, run.request.plan.seed) for run in missing]
    size = study_size(cells, run_seconds, budget_seconds, variants, seeds)
    return size, [run for run in missing if size.includes(run.variant, run.request.plan.seed)]


def mean_run_seconds(records: Sequence[Record]) -> float:
    """Mean duration of the runs, certification excluded: later runs find their certificate in the cache."""
    return statistics.fmean(_run_seconds(record) for record in records)


def _run_seconds(record: Record) -> float:
    phases = record.phases
    start = (phases.import_seconds, phases.data_seconds, phases.build_seconds)
    return sum(filter(None, start)) + phases.training_seconds + phases.evaluation_seconds
