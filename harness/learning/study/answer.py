"""The answer of a study on one configuration: sentences, and the table of all numbers."""

from collections.abc import Sequence

import numpy as np

from harness.core.documents.document import Cell, Table
from harness.core.documents.numbers import (
    BUSY_LEGEND,
    NOTHING,
    RATIO_LEGEND,
    busy_mark,
    estimate,
    listed,
    percent_change,
    score_digits,
    score_unit,
    seeds,
    time_ratio,
    with_unit,
)
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import FEWEST_FOR_INTERVAL
from harness.learning.study.finding import Effect, StudyFinding, Verdict
from harness.learning.study.parts import parts_of
from harness.learning.study.quantities import Quantity

#: The number of seeds that an undecided variant needs is not stated above this one.
_MOST_SEEDS = 200


def study_title(study: StudyFinding) -> str:
    """Return ``Study of overfitting: torch:eager, cnn on digits, 10 epochs``."""
    return f"Study of {study.study.kind.name}: {study.configuration.name}, {study.group_title}"


def study_sentence(study: StudyFinding) -> str:
    """State the answer for one configuration, with the seeds that it rests on."""
    counts = [effect.seeds for effect in study.effects]
    fewest, most = min(counts), max(counts)
    basis = f"{fewest} to {seeds(most)}" if fewest < most else seeds(fewest)
    certified = "" if study.group.conditions.certified else ", not certified"
    return f"{study.configuration.name} ({basis}{certified}): {headline(study)}. {answer(study)}"


def headline(study: StudyFinding) -> str:
    """State the answer for a configuration in one sentence, without a full stop."""
    kind, task = study.study.kind, f"{study.study.task} on {study.study.dataset}"
    for part in parts_of(kind):
        if part.headline is not None and (own := part.headline(study, task)) is not None:
            return own
    if kind.reference == "best":
        tied = [each.variant.name for each in study.of_verdict("equal", "undecided", "few", "better")]
        with_others = f"; {listed(tied)} may be as good" if tied else f"; every other {kind.noun} is worse"
        name = study.reference.variant.name
        return f"{task}: {name} is the best {kind.noun} on validation data{with_others}"
    if study.recommended is not None:
        return f"{task}: {study.recommended.variant.name} helps most"
    worse = [effect.variant.name for effect in study.of_verdict("worse")]
    if worse and all(effect.described.data for effect in study.effects[1:]):
        return f"{task}: {study.reference.variant.name} is certainly better than {listed(worse)}"
    return f"{task}: no {kind.noun} is certainly better than {study.reference.variant.name}"


def answer(study: StudyFinding) -> str:
    """State in a few sentences which variants are better, worse or as good as the reference."""
    name, noun = study.reference.variant.name, study.study.kind.noun
    if study.effects[1:] and all(effect.verdict == "few" for effect in study.effects[1:]):
        return (
            f"So few seeds do not show which {noun} is better: fewer than {FEWEST_FOR_INTERVAL} give no "
            f"interval. Add seeds with --seeds {study.study.kind.seeds}."
        )
    sentences = []
    if study.study.kind.reference == "best":
        sentences.append(f"{name}: {levels_text(study, study.reference)}")
    if study.recommended is not None:
        others = [each for each in study.of_verdict("better") if each is not study.recommended]
        more = f"; {_changes_text(study, others)}" if others else ""
        sentences.append(f"Better than {name}: {_changes_text(study, [study.recommended])}{more}")
    else:
        said = (part.none_better(study) for part in parts_of(study.study.kind) if part.none_better)
        sentences += filter(None, said)
    titles: dict[Verdict, str] = {
        "mixed": "Better in one respect, worse in another",
        "equal": f"As good as {name}",
        "undecided": "Undecided",
        "worse": f"Worse than {name}",
    }
    for verdict, title in titles.items():
        if found := study.of_verdict(verdict):
            sentences.append(f"{title}: {_changes_text(study, found)}")
    return " ".join(f"{sentence}." for sentence in sentences)


def levels_text(study: StudyFinding, effect: Effect) -> str:
    """Write ``test accuracy 71.2 % [70.1, 72.3]``: the decisive quantities of a variant."""
    return ", ".join(
        f"{study.quantities[name].measure.name} {level_text(study.quantities[name], effect.levels[name])}"
        for name in study.study.kind.decisive
    )


def _changes_text(study: StudyFinding, effects: Sequence[Effect]) -> str:
    return "; ".join(
        f"{effect.variant.name}{_how(effect)} ({changes_text(study, effect)})" for effect in effects
    )


def _how(effect: Effect) -> str:
    """Return the options that apply a variant; empty for one that is not better."""
    options = " ".join(f"--set {assignment}" for assignment in effect.variant.assignments)
    return f" with {options}" if options and effect.verdict == "better" else ""


def changes_text(study: StudyFinding, effect: Effect) -> str:
    """Write ``test loss −1.65 [−1.9, −1.4], test accuracy +1.2 [0.4, 2.0] points``: the decisive changes."""
    texts = [
        f"{study.quantities[name].measure.name} {change_text(study.quantities[name], effect.changes[name])}"
        for name in study.study.kind.decisive
    ]
    if effect.verdict == "undecided" and (needed := seeds_needed(study, effect)):
        texts.append(f"about {needed} seeds would decide if the difference stays as it is")
    return ", ".join(texts)


def seeds_needed(study: StudyFinding, effect: Effect) -> int | None:
    """Estimate after how many seeds the interval of a decisive change excludes 0, if mean and spread stay.

    The width of an interval falls with the root of the number of seeds. None where the number is not known,
    as where the interval includes the error from tuning, which more seeds do not reduce.
    """
    if study.study.trials:
        return None
    counts = []
    for name in study.study.kind.decisive:
        change = effect.changes[name]
        if change is not None and change.low is not None and change.high is not None and change.value:
            half = (change.high - change.low) / 2
            counts.append(int(np.ceil(change.n * (half / abs(change.value)) ** 2)))
    needed = min(counts, default=_MOST_SEEDS + 1)
    return max(needed, effect.seeds + 1) if needed <= _MOST_SEEDS else None


def level_text(of: Quantity, level: Estimate | None) -> str:
    """Write a level with its unit: ``71.2 % [70.1, 72.3]``."""
    return estimate(level, score_digits(of.measure), score_unit(of.measure))


def change_text(of: Quantity, change: Estimate | None) -> str:
    """Write a change in the form of its quantity: a ratio, or a difference with its unit."""
    if of.ratio:
        return time_ratio(change) if of.measure.unit == "s" else percent_change(change) if change else NOTHING
    return estimate(change, score_digits(of.measure), of.measure.unit, sign=True)


def ranked(study: StudyFinding) -> list[tuple[Effect, Estimate]]:
    """Order the variants by the first decisive quantity; returns each with its level."""
    of = study.quantities[study.study.kind.decisive[0]]
    known = [(effect, level) for effect in study.effects if (level := effect.levels[of.name]) is not None]
    return sorted(known, key=lambda each: each[1].value, reverse=of.measure.higher_is_better)


def study_table(study: StudyFinding) -> Table:
    """Return a row for each variant: its levels, and the changes of decisive quantities and times."""
    measured = list(study.quantities.values())
    decisive = study.study.kind.decisive
    with_level = [each for each in measured if not each.ratio or each.name.endswith("target")]
    with_change = [each for each in measured if each.ratio or each.name in decisive]
    headers = [study.study.kind.noun, "settings", "seeds", *(with_unit(each.measure) for each in with_level)]
    headers += [f"change of {each.measure.name}" for each in with_change]
    rows = []
    for index, effect in enumerate(study.effects):
        levels = [estimate(effect.levels[each.name], score_digits(each.measure)) for each in with_level]
        changes: list[Cell | str] = [NOTHING] * len(with_change)
        if index:
            changes = [_change_cell(study, each, effect) for each in with_change]
        row = [effect.variant.name, " ".join(effect.variant.assignments) or NOTHING, str(effect.seeds)]
        rows.append([*row, *levels, *changes])
    names = listed([study.quantities[name].measure.name for name in decisive])
    title = (
        f"Changes from {study.reference.variant.name} on the same seeds: mean [95 % interval; those of "
        f"{names} hold for all together]"
    )
    legend = (RATIO_LEGEND, *[BUSY_LEGEND] * study.disturbed)
    return Table(headers, rows, title, legend, announced=True, form="named")


def _change_cell(study: StudyFinding, of: Quantity, effect: Effect) -> Cell | str:
    change = effect.changes[of.name]
    text = change_text(of, change)
    if of.measure.unit == "s":
        text = busy_mark(text, disturbed=study.disturbed)
    if change is None or of.name not in study.study.kind.decisive or not change.excludes(0.0):
        return text
    gain = of.measure.sign * change.value > 0
    return Cell(text, "good" if gain else "bad")
