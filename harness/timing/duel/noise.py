"""The noise of this machine: the difference of two identical processes, and the detectable slowdown."""

import math
import statistics
from collections.abc import Callable
from typing import NamedTuple

from harness.timing.duel.record import ProcessEnvironment
from harness.timing.duel.verdict import deviates
from harness.timing.engine.evidence import FEWEST_PAIRS
from harness.timing.engine.findings import steady_step_seconds
from harness.timing.engine.pairs import Alternation
from harness.timing.engine.preparation import prepare
from harness.timing.engine.ratios import step_ratios
from harness.timing.engine.record import MOST_PAIRS, PairRecord
from harness.timing.engine.workloads import Workload


class Noise(NamedTuple):
    """The result of pairs of two identical processes in one process environment.

    ``spread`` is that of the pairs' log ratios, with outliers down-weighted as in a duel; None for fewer than
    two pairs that were not lost. ``drift`` is the range of the pairs' steps over their median, within the
    ``seconds`` of all pairs; ``control_drift`` is the drift of a NumPy matrix product.
    """

    process_environment: ProcessEnvironment
    pairs: int
    seconds: float
    spread: float | None
    step_seconds: float
    drift: float
    control_drift: float
    pair_seconds: float
    disturbed_share: float

    def detectable_slowdown(self, budget_seconds: float) -> float | None:
        """Return the slowdown that a duel of this length finds with probability 0.9; None if too short.

        The time of one pair goes into trying the configurations.
        """
        pairs = min(MOST_PAIRS, math.floor(budget_seconds / self.pair_seconds) - 1)
        if self.spread is None or pairs < FEWEST_PAIRS:
            return None
        return math.expm1(deviates(pairs) * self.spread / math.sqrt(pairs))


def measure_noise(
    workload: Workload, dataset: str, *, quiet: bool, pairs: int, progress: Callable[[int], None]
) -> Noise:
    """Run ``pairs`` pairs of a workload against itself; ``progress`` gets the number of each.

    Raises:
        HarnessError: the workload does not run.
    """
    alternation = Alternation([workload, workload], dataset, quiet=quiet)
    prepared = prepare(alternation, None)
    made = []
    for number in range(1, pairs + 1):
        progress(number)
        made.append(alternation.pair(prepared.steps, prepared.turns))
    return _summary("quiet" if quiet else "plain", made)


def _summary(process_environment: ProcessEnvironment, made: list[PairRecord]) -> Noise:
    ratios = step_ratios(made, 1, [1, 1])
    steps = [statistics.fmean(steady_step_seconds(pair, index) for index in (0, 1)) for pair in made]
    controls = [statistics.median(block.control_seconds for block in pair.blocks) for pair in made]
    blocks = [block for pair in made for block in pair.blocks]
    return Noise(
        process_environment=process_environment,
        pairs=len(ratios.logs),
        seconds=sum(pair.seconds for pair in made),
        spread=ratios.spread if len(ratios.logs) > 1 else None,
        step_seconds=statistics.median(steps),
        drift=_range_over_median(steps),
        control_drift=_range_over_median(controls),
        pair_seconds=statistics.median(pair.seconds for pair in made),
        disturbed_share=sum(block.disturbed for block in blocks) / len(blocks),
    )


def _range_over_median(values: list[float]) -> float:
    return (max(values) - min(values)) / statistics.median(values)
