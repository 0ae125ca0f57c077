"""Studies as sentences: the recommended remedy, and what makes the score worse."""

from harness.analysis.study_effects import EARLY_STOPPING, Effect, StudyFinding
from harness.report.numbers import estimate, score_digits, seeds, significant, time_ratio
from harness.stats.intervals import FEWEST_FOR_INTERVAL

_TOO_FEW = f"fewer than {FEWEST_FOR_INTERVAL} seeds give no interval"


def study_title(study: StudyFinding) -> str:
    """``Remedies for overfitting: torch:eager, cnn on digits, 10 epochs``."""
    return f"Remedies for {study.study.kind}: {study.configuration.name}, {study.group_title}"


def study_sentence(study: StudyFinding) -> str:
    """What a study recommends for one configuration."""
    best = study.recommended
    certified = "" if study.group.conditions.certified else ", not certified"
    if best is not None and best.score_change is not None:
        basis = f"{seeds(best.score_change.n)}{certified}"
        verdict = f"{_recommendation(study, best)} ({basis})"
    else:
        counts = [effect.score_change.n for effect in study.effects[1:] if effect.score_change]
        counts = counts or [study.effects[0].seeds]
        fewest, most = min(counts), max(counts)
        paired = f"{fewest} to {seeds(most)}" if fewest < most else seeds(fewest)
        improves = f"none improves test {study.measure.name} significantly"
        verdict = f"{_TOO_FEW if most < FEWEST_FOR_INTERVAL else improves} ({paired}{certified})"
    sentence = f"Remedy for {study.study.kind} of {study.configuration.name}: {verdict}.{_harm(study)}"
    return sentence if study.overfits else f"{_no_overfitting(study)} {sentence}"


def _no_overfitting(study: StudyFinding) -> str:
    epochs = study.study.epochs
    return (
        f"The plain task does not overfit within {epochs} epoch{'s' * (epochs != 1)}, so this study "
        "cannot show what prevents overfitting."
    )


def _recommendation(study: StudyFinding, best: Effect) -> str:
    """The remedy, how to apply it, and what it changes."""
    name = best.variant.name
    parts = [f"test {study.measure.name} {_score_change(study, best)}"]
    if study.effects[0].gap and best.gap:
        levels = f"{significant(study.effects[0].gap.value)} to {significant(best.gap.value)}"
        parts.append(f"gap from {levels} {study.gap_measure.unit}".rstrip())
    if best.time_ratio and not study.disturbed:
        parts.append(f"training time {time_ratio(best.time_ratio)}")
    options = "".join(f" --set {assignment}" for assignment in best.variant.assignments)
    how = f" ({options.strip()})" if options else ""
    stop = " at the best epoch" if name == EARLY_STOPPING else ""
    return f"{name}{how}{stop}: {', '.join(parts)}"


def _score_change(study: StudyFinding, effect: Effect) -> str:
    measure = study.measure
    return estimate(measure.as_change(effect.score_change), score_digits(measure), measure.unit, sign=True)


def _harm(study: StudyFinding) -> str:
    """The remedies that make the score worse; of less data, what that shows about more."""
    changes = [f"{effect.variant.name} ({_score_change(study, effect)})" for effect in study.harmful]
    if not changes:
        return ""
    more_data = "; less data hurts and widens the gap, so more data should help" if _needs_data(study) else ""
    return f" Significantly worse: {', '.join(changes)}{more_data}."


def _needs_data(study: StudyFinding) -> bool:
    """Whether less data hurts by overfitting: it also makes fewer steps, so only a wider gap shows which."""
    return any(
        effect.gap_change is not None
        and effect.gap_change.low is not None
        and effect.gap_change.low > 0
        and "train_fraction" in effect.variant.options
        for effect in study.harmful
    )
