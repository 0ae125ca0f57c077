"""How noisy this machine is: what two identical processes differ by, and what slowdown can be seen here."""

import math
import random
import statistics
from collections.abc import Callable
from typing import NamedTuple

from harness.duel.findings import steady_step_seconds
from harness.duel.pairs import Alternation
from harness.duel.preparation import prepare
from harness.duel.ratios import step_ratios
from harness.duel.record import PairRecord
from harness.duel.verdict import deviates, fewest_pairs_for_difference
from harness.duel.workloads import Workload
from harness.stats.looks import MOST_PAIRS

#: A process that takes longer than this is taken to hang.
_PROCESS_LIMIT_SECONDS = 600.0


class Noise(NamedTuple):
    """What pairs of two identical processes showed in one environment.

    ``spread`` is that of the pairs' log ratios, outliers cut as in a duel; None for fewer than two that tell.
    ``drift`` is how far apart the fastest and the slowest pair's steps were, over the median, in the
    ``seconds`` that all pairs took; ``control_drift`` the same of a NumPy matrix product.
    """

    environment: str
    pairs: int
    seconds: float
    spread: float | None
    step_seconds: float
    drift: float
    control_drift: float
    pair_seconds: float
    disturbed_share: float

    def detectable_slowdown(self, budget_seconds: float) -> float | None:
        """The slowdown that a duel of this length finds nine times in ten; None: too short to find one.

        What a pair takes goes into trying the sides.
        """
        pairs = min(MOST_PAIRS, math.floor(budget_seconds / self.pair_seconds) - 1)
        if self.spread is None or pairs < fewest_pairs_for_difference(comparisons=1):
            return None
        return math.expm1(deviates(pairs) * self.spread / math.sqrt(pairs))


def measure_noise(
    side: Workload, dataset: str, *, quiet: bool, pairs: int, tell: Callable[[str], None]
) -> Noise:
    """Run this many pairs of a side against itself.

    Raises:
        HarnessError: the side does not work.
    """
    settings = side.settings(quiet=quiet)
    ring = Alternation(
        [side, side], [settings, settings], dataset, deadline_seconds=lambda: _PROCESS_LIMIT_SECONDS
    )
    prepared = prepare(ring, None)
    environment = "quiet" if quiet else "plain"
    chance = random.Random()  # noqa: S311  who goes first must not follow a seed
    made = []
    for number in range(pairs):
        tell(f"{environment} environment, pair {number + 1} of {pairs}")
        made.append(ring.pair(prepared.steps, prepared.turns, chance))
    return _summary(environment, made)


def _summary(environment: str, made: list[PairRecord]) -> Noise:
    ratios = step_ratios(made, 1, [1, 1])
    steps = [statistics.fmean(steady_step_seconds(pair, side) for side in (0, 1)) for pair in made]
    controls = [statistics.median(block.control_seconds for block in pair.blocks) for pair in made]
    blocks = [block for pair in made for block in pair.blocks]
    return Noise(
        environment=environment,
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
