"""Studies as sentences: the recommended remedy, and what makes the score worse."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from harness.analysis.overfit import Overfitting
from harness.analysis.study_effects import DATA_VARIANTS, EARLY_STOPPING, Effect, StudyFinding
from harness.report.numbers import estimate, score_digits, seeds, significant, time_ratio
from harness.report.overfitting_words import REMEDY_WORDS
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


# A study in plain words, for readers who meet overfitting for the first time.


class Lesson(NamedTuple):
    """What happened with one remedy: ``verdict`` is one of helps, harms, unclear, and few for few seeds.

    ``onset`` says from which epoch on it overfits, or that it does not; empty where that is not assessed.
    """

    name: str
    options: str
    meaning: str
    outcome: str
    verdict: str
    onset: str


def headline(study: StudyFinding, plain: Overfitting | None) -> str:
    """The first sentence of a configuration's part."""
    task = f"{study.study.task} on {study.study.dataset}"
    if study.study.kind != "overfitting":
        return f"{task} with rare classes, and what helps"
    if plain is None or plain.onset.epoch is None:
        return f"{task}: overfitting is not assessed, because a loss is not finite"
    if not plain.onset.epoch:
        return f"{task} does not overfit within {_epochs(plain.epochs)}"
    return f"{task} overfits from epoch {plain.onset.epoch} of {plain.epochs}"


def answer(study: StudyFinding) -> str:
    """Which remedy helps, in one sentence."""
    score = f"test {study.measure.name}"
    if study.recommended is not None:
        change = _change(study, study.recommended)
        return f"What helps most here is {study.recommended.variant.name}: {score} {change}."
    if all(effect.score_change is None or effect.score_change.low is None for effect in study.effects[1:]):
        return (
            "So few seeds do not show whether a remedy helps: the differences may be chance. "
            "Add seeds with --seeds 5."
        )
    return f"No remedy clearly improves the {score} here."


def beginning(plain: Overfitting) -> list[str]:
    """Where overfitting begins and what it costs, as sentences with the numbers of this study."""
    train, validation = (plain.bands[f"{split} loss"].mean for split in ("train", "validation"))
    epochs = plain.bands["validation loss"].epochs
    best = int(np.abs(np.array(epochs) - (plain.best_epoch or epochs[-1])).argmin())
    lowest, end, last = float(validation[best]), float(validation[-1]), epochs[-1]
    count = len(plain.configuration.runs)
    median = f" (median over {seeds(count)})" if count > 1 else ""
    lowest_at = (
        f"The validation loss is lowest after epoch {epochs[best]}{median}: {significant(lowest)}. "
        f"The training loss is {significant(float(train[best]))} there."
    )
    if plain.onset.epoch:
        later = (
            f"After epoch {last} the training loss has fallen to {significant(float(train[-1]))}, "
            f"but the validation loss has risen to {significant(end)}, by {100 * (end / lowest - 1):.0f} %. "
            f"From epoch {plain.onset.epoch} on it stays at least 5 % above its lowest value: "
            "there overfitting begins."
        )
    else:
        later = (
            "The validation loss does not stay 5 % above its lowest value until the end, so the network does "
            f"not overfit within {_epochs(last)}. More epochs (--epochs) or less data may make it overfit."
        )
    return [lowest_at, later, *_scores(plain)]


def _scores(plain: Overfitting) -> list[str]:
    """The final scores; whether the accuracy shows the overfitting too."""
    measure = plain.measure
    if measure.key == "loss" or f"train {measure.key}" not in plain.bands:
        return []
    train, validation = (
        float(plain.bands[f"{split} {measure.key}"].mean[-1]) for split in ("train", "validation")
    )
    final = (
        f"In the end {train:.1f} % of the training samples and {validation:.1f} % of the validation samples "
        f"are classified correctly: a gap of {train - validation:.1f} points."
    )
    dropped = plain.lost is not None and plain.lost.low is not None and plain.lost.low > 0
    if not plain.onset.epoch or dropped:
        return [final]
    unseen = (
        "The validation accuracy did not clearly drop: the network became more sure of its mistakes. "
        "The loss shows that, the accuracy does not."
    )
    return [final, unseen]


def lessons(study: StudyFinding, curves: Mapping[str, Overfitting]) -> list[Lesson]:
    """What each remedy is and what it did."""
    return [_lesson(study, effect, curves) for effect in study.effects[1:]]


def _lesson(study: StudyFinding, effect: Effect, curves: Mapping[str, Overfitting]) -> Lesson:
    change = effect.score_change
    verdict = "few" if change is None or change.low is None else "unclear"
    if change is not None and change.excludes(0.0):
        verdict = "helps" if change.value > 0 else "harms"
    outcome = f"test {study.measure.name} {_change(study, effect)}" if change else "no run on the same seeds"
    plain_gap = study.effects[0].gap
    if effect.gap and plain_gap and study.study.kind == "overfitting":
        unit, digits = study.gap_measure.unit, score_digits(study.gap_measure)
        before, after = (
            estimate(msgspec.structs.replace(gap, low=None, high=None), digits)
            for gap in (plain_gap, effect.gap)
        )
        outcome += f"; gap {before} → {after} {unit}".rstrip()
    options = " ".join(f"--set {assignment}" for assignment in effect.variant.assignments)
    name = effect.variant.name
    return Lesson(name, options, REMEDY_WORDS.get(name, ""), outcome, verdict, _onset(curves.get(name)))


def _onset(curve: Overfitting | None) -> str:
    if curve is None or curve.onset.epoch is None or curve.adversarial:
        return ""
    if curve.onset.epoch:
        return f"overfits from epoch {curve.onset.epoch}"
    return f"does not overfit within {_epochs(curve.epochs)}"


def _change(study: StudyFinding, effect: Effect) -> str:
    measure = study.measure
    return estimate(measure.as_change(effect.score_change), score_digits(measure), measure.unit, sign=True)


def _epochs(count: int) -> str:
    return f"{count} epoch{'s' * (count != 1)}"


def more_data(study: StudyFinding) -> str:
    """What less data shows about more; empty where the study did not try it."""
    tried = [
        effect for effect in study.effects[1:] if effect.variant.name in DATA_VARIANTS and effect.score_change
    ]
    if not tried or study.study.kind != "overfitting":
        return ""
    worse = [effect for effect in tried if effect.score_change and effect.score_change.value < 0]
    wider = [effect for effect in worse if effect.gap_change and effect.gap_change.value > 0]
    changes = ", ".join(f"{effect.variant.name}: {_change(study, effect)}" for effect in tried)
    if wider and any(effect in study.harmful for effect in wider):
        return (
            f"With less data the test score falls and the gap widens ({changes}). So more data should help."
        )
    return (
        f"Change of the test {study.measure.name} with less data: {changes}. "
        "This does not show whether more data would help."
    )
