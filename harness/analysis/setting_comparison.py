"""The settings of a training compared: quality on the same seeds, and when each reaches one target.

The order and the reference come from the validation data, so that the test scores that are compared had no
part in the choice.
"""

import math

from harness.analysis.comparison import Comparison, PairComparison
from harness.analysis.configuration_summary import (
    ConfigurationSummary,
    default_target,
    mark_front,
    summarize,
)
from harness.analysis.grouping import ConfigurationRuns, RunGroup
from harness.analysis.seed_values import curves_of, scores
from harness.stats.intervals import equivalence
from harness.training.measures import Measure

#: A target that only few settings reach compares few; one that all reach is that of the worst setting.
_SHARE_AT_TARGET = 0.5
_FEWEST_AT_TARGET = 2


def compare_settings(group: RunGroup, margin: float | None = None, target: float | None = None) -> Comparison:
    """Compare the settings of a group with the one of the best validation score after the last epoch.

    ``margin`` and ``target`` as in :func:`harness.analysis.comparison.compare`, but the default target is
    the best round value that every run of at least half of the settings reaches. The intervals of the
    differences hold jointly. No ratio of times is given: the steps of settings are different work.
    """
    measure = group.measure
    if target is None:
        fewest = max(_FEWEST_AT_TARGET, math.ceil(_SHARE_AT_TARGET * len(group.configurations)))
        target = default_target(group, min(fewest, len(group.configurations)))
    summaries = [summarize(configuration, measure, target) for configuration in group.configurations]
    summaries = mark_front(sorted(summaries, key=lambda summary: _rank(summary, measure)), measure)
    if not group.comparable or len(summaries) == 1:
        return Comparison(group, measure, target, summaries, [])
    best, *others = summaries
    pairs = [_pair(best, other, measure, margin, len(others)) for other in others]
    return Comparison(group, measure, target, summaries, pairs)


def last_validation(configuration: ConfigurationRuns, measure: Measure) -> float | None:
    """The mean validation score after the last epoch in the measure's unit; None where it is not known."""
    curves = curves_of(configuration, f"validation_{measure.key}")
    mean = math.nan if curves is None else float(curves[:, -1].mean()) * measure.factor
    return mean if math.isfinite(mean) else None


def _rank(summary: ConfigurationSummary, measure: Measure) -> tuple[bool, float]:
    """Ascending from the best by validation; settings without validation follow, by their test score."""
    validation = last_validation(summary.configuration, measure)
    test = summary.quality.value if summary.quality else None
    score = test if validation is None else validation
    sign = -1.0 if measure.higher_is_better else 1.0
    return validation is None, math.inf if score is None else sign * score


def _pair(
    best: ConfigurationSummary,
    other: ConfigurationSummary,
    measure: Measure,
    margin: float | None,
    comparisons: int,
) -> PairComparison:
    if margin is None:
        level = other.quality.value if other.quality and measure.relative else 1.0
        margin = measure.margin * abs(level)
    ours, theirs = scores(other.configuration, measure), scores(best.configuration, measure)
    return PairComparison(best, other, measure, None, equivalence(ours, theirs, margin, comparisons))
