"""Settings of a training as sentences: the best, how the others compare, and when each reaches a target."""

from collections.abc import Iterator, Sequence

from harness.analysis.comparison import Comparison
from harness.analysis.configuration_summary import ConfigurationSummary
from harness.analysis.variation import last_validation
from harness.report.numbers import listed, score_unit, significant
from harness.report.quality_words import quality_sentence

#: Settings that a sentence about the target names; the table holds them all.
_MOST_NAMED = 4


def settings_headline(comparison: Comparison) -> str:
    """The answer in three sentences: the best by validation, the test scores, and the target."""
    parts = [best_setting(comparison), quality_sentence(comparison), _reaching(comparison)]
    return " ".join(filter(None, parts))


def best_setting(comparison: Comparison) -> str:
    """Which setting has the best validation score after the last epoch, and that score."""
    best, measure = comparison.summaries[0], comparison.measure
    if not has_scores(comparison):
        return "No score was recorded, so no setting is the best."
    score = last_validation(best.configuration, measure)
    if score is None:
        return f"{best.name} has the best test {measure.name}; no validation score was recorded."
    level = f"{significant(score)} {score_unit(measure)}".rstrip()
    return f"{best.name} has the best validation {measure.name} after the last epoch ({level})."


def has_scores(comparison: Comparison) -> bool:
    """Whether the first setting is the best by any score; runs may have been made without evaluation."""
    best = comparison.summaries[0]
    return best.quality is not None or last_validation(best.configuration, comparison.measure) is not None


def _reaching(comparison: Comparison) -> str:
    """Which settings reach the target, soonest first, after how many epochs, and which do not."""
    if comparison.target is None:
        return ""
    always = sorted(filter(_always, comparison.summaries), key=_epochs)
    fewer = [summary for summary in comparison.summaries if not _always(summary)]
    target = f"validation {comparison.measure.name} {bound_text(comparison)}"
    if not always:
        return f"No setting reaches {target} in every run."
    first, *others = always
    epochs = round(_epochs(first))
    names = [f"{epochs} epoch{'s' * (epochs != 1)} with {first.name}"]
    names += [f"{round(_epochs(other))} with {other.name}" for other in others]
    missing = f"; not reached with {_few([_reached(summary) for summary in fewer])}" if fewer else ""
    return f"{target[:1].upper()}{target[1:]} is reached after {_few(names)}{missing}."


def _few(names: Sequence[str]) -> str:
    """The names, or the first few and how many more there are."""
    more = len(names) - _MOST_NAMED
    return listed([*names[:_MOST_NAMED], f"{more} more"] if more > 0 else names)


def _reached(summary: ConfigurationSummary) -> str:
    """The name, and how many runs reach the target all the same."""
    target = summary.to_target
    if target is None or not target.reached:
        return summary.name
    return f"{summary.name} ({target.of - target.reached} of {target.of} runs)"


def bound_text(comparison: Comparison) -> str:
    """The target as ``≥ 60 %``."""
    measure = comparison.measure
    bound = "≥" if measure.higher_is_better else "≤"
    return f"{bound} {significant(comparison.target)} {score_unit(measure)}".rstrip()


def _always(summary: ConfigurationSummary) -> bool:
    """Whether every run reaches the target."""
    target = summary.to_target
    return target is not None and target.reached == target.of


def _epochs(summary: ConfigurationSummary) -> float:
    target = summary.to_target
    return target.epochs.value if target is not None and target.epochs is not None else 0.0


def settings_remarks(comparison: Comparison) -> Iterator[str]:
    """How the comparison was made, and what it does not cover."""
    if comparison.pairs and has_scores(comparison):
        measure, best = comparison.measure, comparison.summaries[0]
        yield (
            f"The order is that of validation {measure.name}. Test scores are compared with those of "
            f"{best.name} by paired t tests on the same seeds; the intervals of the differences hold jointly "
            "(Bonferroni)."
        )
    runs = [run for summary in comparison.summaries for run in summary.configuration.runs]
    if comparison.pairs and not all(run.record.certificate for run in runs):
        yield (
            "Some runs have no certificate: the comparison holds within "
            f"{runs[0].record.configuration.backend} and says nothing about other frameworks."
        )
