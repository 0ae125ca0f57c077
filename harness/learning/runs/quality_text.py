"""The quality of configurations and settings in words: verdicts, margins, the best setting, the target."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from harness.core.documents.numbers import (
    estimate,
    is_zero,
    listed,
    probability,
    score_digits,
    score_unit,
    seeds_each,
    significant,
)
from harness.core.stats.equivalence import Equivalence
from harness.core.training.measures import Measure
from harness.learning.runs.comparison import Comparison, PairComparison


def quality_sentence(comparison: Comparison) -> str:
    """State that quality is equal, or otherwise the verdict on each configuration."""
    pairs, measure = comparison.pairs, comparison.measure
    comparable = [pair for pair in pairs if pair.quality.difference is not None]
    if not comparable:
        return f"Test {measure.name} is not compared, because no seed has a test score of both."
    if all(pair.quality.difference.n == 1 for pair in comparable if pair.quality.difference):
        return _on_one_seed(comparable, measure)
    by_verdict: dict[str, list[str]] = defaultdict(list)
    for pair in pairs:
        verdict = pair.quality_verdict if pair in comparable else "not comparable"
        by_verdict[verdict].append(_named_pair(pair, measure, alone=len(pairs) == 1))
    if list(by_verdict) == ["equal"]:
        return f"Test {measure.name} is equal ({_quality_basis(measure, pairs)})."
    parts = {verdict: f"{verdict} for {listed(names)}" for verdict, names in by_verdict.items()}
    most = max(pairs, key=lambda pair: (pair.quality.needs_samples, pair.quality.seeds_needed or 0))
    if len(pairs) > 1 and (needed := seeds_needed(most.quality)):
        parts["undecided"] += f" ({needed})"
    return f"Test {measure.name} relative to {pairs[0].reference.name}: {', '.join(parts.values())}."


def _on_one_seed(pairs: Sequence[PairComparison], measure: Measure) -> str:
    """State the differences on one seed without a verdict."""
    differences = {
        pair.other.name: estimate(pair.quality.difference, score_digits(measure), sign=True) for pair in pairs
    }
    if all(is_zero(text) for text in differences.values()):
        return f"Same test {measure.name} on the one seed run."
    parts = [f"{text} {measure.unit}".rstrip() + f" for {name}" for name, text in differences.items()]
    reference = pairs[0].reference.name
    return f"Test {measure.name} relative to {reference} on the one seed run: {', '.join(parts)}."


def _named_pair(pair: PairComparison, measure: Measure, *, alone: bool) -> str:
    """Name the configuration, with its difference if that is significant or the pair is ``alone``."""
    quality = pair.quality
    if quality.difference is None or not (alone or quality.verdict == "different"):
        return pair.other.name
    difference = estimate(quality.difference, score_digits(measure), measure.unit, sign=True)
    return f"{pair.other.name} ({', '.join(filter(None, (difference, seeds_needed(quality))))})"


def _quality_basis(measure: Measure, pairs: Sequence[PairComparison]) -> str:
    """Write ``±1 point, 4 seeds, p < 0.001``: margins, seeds and, for a single pair, the probability."""
    margins = sorted(pair.quality.margin for pair in pairs)
    ends = dict.fromkeys(margin_text(margin, measure) for margin in (margins[0], margins[-1]))
    numbers = [pair.quality.difference.n for pair in pairs if pair.quality.difference]
    parts = [" to ".join(ends), seeds_each(numbers)]
    if len(pairs) == 1:
        parts.append(probability(pairs[0].quality.p))
    return ", ".join(filter(None, parts))


def seeds_needed(result: Equivalence) -> str:
    """State how many seeds an undecided comparison needs, or that seeds do not suffice; empty if unknown."""
    if result.needs_samples:
        return "more seeds would not decide: the test samples are too few"
    return f"about {result.seeds_needed:,} seeds are needed to decide" if result.seeds_needed else ""


def margin_text(margin: float, measure: Measure) -> str:
    """Write ``±1 point``, ``±2.5 points`` or ``±0.03``."""
    unit = measure.unit.removesuffix("s") if margin == 1 else measure.unit
    return f"±{significant(margin)} {unit}".rstrip()


def best_setting(comparison: Comparison) -> str:
    """Name the setting with the best validation score after the last epoch, and that score."""
    best, measure = comparison.summaries[0], comparison.measure
    if best.validation is not None:
        level = f"{significant(best.validation.value)} {score_unit(measure)}".rstrip()
        return f"{best.name} has the best validation {measure.name} after the last epoch ({level})."
    if best.quality is not None:
        return f"{best.name} has the best test {measure.name}; no validation score was recorded."
    return "No score was recorded, so no setting is the best."


def ordering_score(comparison: Comparison) -> str:
    """Name the score by which settings are ordered: ``validation accuracy``; empty if none was recorded."""
    best, name = comparison.summaries[0], comparison.measure.name
    if best.validation is not None:
        return f"validation {name}"
    return f"test {name}" if best.quality is not None else ""


def bound_text(comparison: Comparison) -> str:
    """Write the target as ``≥ 60 %``."""
    measure = comparison.measure
    bound = "≥" if measure.higher_is_better else "≤"
    return f"{bound} {significant(comparison.target)} {score_unit(measure)}".rstrip()


def settings_remarks(comparison: Comparison) -> Iterator[str]:
    """State what a comparison of settings does not cover."""
    runs = [run for summary in comparison.summaries for run in summary.configuration.runs]
    if comparison.pairs and not all(
        run.record.certificate and run.record.certificate.possible for run in runs
    ):
        yield (
            "Some runs have no certificate: the comparison holds within "
            f"{runs[0].record.configuration.backend} and says nothing about other frameworks."
        )
