"""Whether configurations overfit alike: their final gaps compared on paired seeds."""

from typing import NamedTuple

import numpy as np

from harness.analysis.grouping import ConfigurationRuns, RunGroup
from harness.analysis.overfit import gap_curves, gap_measure
from harness.stats.intervals import Equivalence, equivalence
from harness.training.measures import Measure


class GapDifference(NamedTuple):
    """The final gap of a reference less that of another configuration, in the unit of ``measure``."""

    reference: ConfigurationRuns
    other: ConfigurationRuns
    measure: Measure
    result: Equivalence


def gap_differences(group: RunGroup, margin: float | None = None) -> list[GapDifference]:
    """Compare the gap of the first configuration by name with that of each other one.

    Gaps show whether backends overfit alike: those of settings, which are meant to differ, are not compared,
    nor is work that is not certified, nor are configurations without a common seed. ``margin`` is
    in the unit of the group's measure; it is not used where the gap is in another unit.
    """
    measure = group.measure
    gaps = {configuration.name: gap_curves(configuration, measure) for configuration in group.configurations}
    reference, *others = group.configurations
    if group.is_of_settings or not group.comparable or gaps[reference.name] is None:
        return []
    differences = []
    for other in others:
        ours, theirs = gaps[reference.name], gaps[other.name]
        if ours is None or theirs is None:
            continue
        unit = gap_measure(other, measure)
        level = float(np.mean(np.abs(theirs[:, -1]))) if unit.relative else 1.0
        result = equivalence(
            dict(zip(reference.seeds, ours[:, -1].tolist(), strict=True)),
            dict(zip(other.seeds, theirs[:, -1].tolist(), strict=True)),
            margin if margin is not None and unit is measure else unit.margin * level,
        )
        if result.difference is not None:
            differences.append(GapDifference(reference, other, unit, result))
    return differences
