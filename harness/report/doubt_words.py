"""Why times of runs are unreliable, in words."""

from collections.abc import Sequence

from harness.analysis.comparison import Comparison, PairComparison
from harness.analysis.configuration_summary import TimeDoubts, time_doubts
from harness.report.numbers import percent

#: Stands next to a ratio of times of runs that no headline may state.
UNRELIABLE = "unreliable"


def doubtful(comparison: Comparison) -> list[PairComparison]:
    """The pairs whose times are unreliable."""
    return [pair for pair in comparison.pairs if pair.speed_verdict == "unreliable"]


def doubts_of(pairs: Sequence[PairComparison]) -> TimeDoubts:
    """The doubts about all of these pairs, which have the same reference."""
    seeds = min(pair.doubts.seeds for pair in pairs if pair.doubts)
    return time_doubts([pairs[0].reference, *(pair.other for pair in pairs)], seeds)


def doubt_text(doubts: TimeDoubts) -> str:
    """``1 run each; other programs used up to 1.7 of 2 CPUs in 3 of 6 runs``; empty without a doubt."""
    reasons = []
    if doubts.few_seeds:
        reasons.append(f"{doubts.seeds} run{'s' * (doubts.seeds != 1)} each")
    if doubts.disturbed:
        used = f"other programs used up to {doubts.taken:.1f} of {doubts.cpus} CPUs"
        reasons.append(f"{used} in {doubts.disturbed} of {doubts.runs} runs")
    if doubts.unsteady and doubts.variation is not None:
        reasons.append(f"step time varied by {percent(doubts.variation)} within a run")
    if doubts.unsettled:
        reasons.append(f"{doubts.unsettled} of {doubts.runs} runs ended before their steps had settled")
    return "; ".join(reasons)
