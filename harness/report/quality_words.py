"""The quality of configurations relative to the reference, as a sentence."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from harness.analysis.comparison import Comparison, PairComparison
from harness.report.numbers import estimate, is_zero, listed, probability, score_digits, seeds, significant
from harness.stats.intervals import Equivalence
from harness.training.measures import Measure


def quality_sentence(comparison: Comparison) -> str:
    """Whether quality is equal, and otherwise the verdict on each configuration."""
    pairs, measure = comparison.pairs, comparison.measure
    comparable = [pair for pair in pairs if pair.quality.difference is not None]
    if not comparable:
        return f"Test {measure.name} is not compared, because no seed has a test score of both."
    if all(pair.quality.difference.n == 1 for pair in comparable if pair.quality.difference):
        return _on_one_seed(comparable, measure)
    by_verdict: dict[str, list[str]] = defaultdict(list)
    for pair in pairs:
        verdict = pair.quality_verdict if pair in comparable else "not comparable"
        by_verdict[verdict].append(_named(pair, measure, alone=len(pairs) == 1))
    if list(by_verdict) == ["equal"]:
        return f"Test {measure.name} is equal ({_basis(measure, pairs)})."
    parts = [f"{verdict} for {listed(names)}" for verdict, names in by_verdict.items()]
    return f"Test {measure.name} relative to {pairs[0].reference.name}: {', '.join(parts)}."


def _on_one_seed(pairs: Sequence[PairComparison], measure: Measure) -> str:
    """Without a verdict: ``Same test accuracy on the one seed run.``, or the differences."""
    differences = {
        pair.other.name: estimate(pair.quality.difference, score_digits(measure), sign=True) for pair in pairs
    }
    if all(is_zero(text) for text in differences.values()):
        return f"Same test {measure.name} on the one seed run."
    parts = [f"{text} {measure.unit}".rstrip() + f" for {name}" for name, text in differences.items()]
    reference = pairs[0].reference.name
    return f"Test {measure.name} relative to {reference} on the one seed run: {', '.join(parts)}."


def _named(pair: PairComparison, measure: Measure, *, alone: bool) -> str:
    """The configuration, with its difference where that is significant or ``alone``."""
    quality = pair.quality
    if quality.difference is None or not (alone or quality.verdict == "different"):
        return pair.other.name
    difference = estimate(quality.difference, score_digits(measure), measure.unit, sign=True)
    basis = ", ".join(part for part in (difference, seeds_needed(quality)) if part)
    return f"{pair.other.name} ({basis})"


def _basis(measure: Measure, pairs: Sequence[PairComparison]) -> str:
    """``±1 point, 4 seeds, p < 0.001``: the margins, the seeds and, for a single pair, the probability."""
    margins = sorted(pair.quality.margin for pair in pairs)
    ends = dict.fromkeys(margin_text(margin, measure) for margin in (margins[0], margins[-1]))
    parts = [" to ".join(ends), _seed_range(pairs)]
    if len(pairs) == 1:
        parts.append(probability(pairs[0].quality.p))
    return ", ".join(part for part in parts if part)


def _seed_range(pairs: Iterable[PairComparison]) -> str:
    counts = sorted({pair.quality.difference.n for pair in pairs if pair.quality.difference})
    return seeds(counts[-1]) if len(counts) == 1 else f"{counts[0]} to {seeds(counts[-1])}"


def seeds_needed(result: Equivalence) -> str:
    """How many seeds an undecided comparison needs; empty where that is not known."""
    return f"about {result.seeds_needed:,} seeds are needed to decide" if result.seeds_needed else ""


def margin_text(margin: float, measure: Measure) -> str:
    """``±1 point``, ``±2.5 points``, ``±0.03``."""
    unit = measure.unit.removesuffix("s") if margin == 1 else measure.unit
    return f"±{significant(margin)} {unit}".rstrip()
