"""Overfitting and the effects of remedies as tables."""

from collections.abc import Sequence

from harness.analysis.overfit import Overfitting
from harness.analysis.study_effects import StudyFinding
from harness.report.busy import BUSY_LEGEND, busy_mark
from harness.report.numbers import NOTHING, estimate, score_digits, score_unit
from harness.report.table import Cell, Table
from harness.report.tables import ratio_cell


def overfitting_table(overfittings: Sequence[Overfitting]) -> Table:
    """Gap, onset, rise of the loss and the effect of early stopping, a row for each configuration."""
    first = overfittings[0]
    unit, digits = (f" ({first.measure.unit})" if first.measure.unit else ""), score_digits(first.measure)
    headers = ["configuration", "final gap (points)" if first.adversarial else f"final gap{unit}"]
    headers += ["onset (epoch)", "best epoch", "final loss above lowest (%)"]
    verb = "lost" if first.measure.higher_is_better else "added"
    headers += [
        f"{split} {first.measure.name} {verb} by training too long{unit}" for split in ("validation", "test")
    ]
    if first.adversarial:
        headers.append("memorisation ratio")
    rows = []
    for overfit in overfittings:
        row = [
            overfit.configuration.name,
            estimate(overfit.gap, 1 if first.adversarial else digits),
            onset_text(overfit),
            NOTHING if overfit.best_epoch is None else f"{overfit.best_epoch:g}",
            estimate(overfit.generalization_loss),
            estimate(overfit.lost, digits, sign=True),
            estimate(overfit.gained, digits, sign=True),
        ]
        rows.append([*row, *[estimate(overfit.memorization_ratio, 2)] * first.adversarial])
    return Table(headers, rows, "Overfitting: mean [95 % interval]")


def onset_text(overfit: Overfitting) -> str:
    """``6 [5, 8]``: the epoch at which overfitting begins, or ``none``."""
    begins, interval = overfit.onset.epoch, overfit.onset.interval
    if begins is None:
        return NOTHING
    if begins == 0:
        return "none"
    return str(begins) + (f" [{interval[0]}, {interval[1]}]" if interval else "")


def study_table(study: StudyFinding) -> Table:
    """A row for each remedy: its levels, and its differences from the plain runs."""
    measure = study.measure
    digits, gap_digits = score_digits(measure), score_digits(study.gap_measure)
    unit, gap_unit = (f" ({of.unit})" if of.unit else "" for of in (measure, study.gap_measure))
    score = f"test {measure.name} ({score_unit(measure)})" if score_unit(measure) else f"test {measure.name}"
    headers = ["remedy", "options", "seeds", f"gap{gap_unit}", score, f"change of gap{gap_unit}"]
    headers += [f"change of test{unit}", "change of training time"]
    rows = []
    for index, effect in enumerate(study.effects):
        changes: list[Cell | str] = [NOTHING] * 3
        if index:
            changes = [
                estimate(effect.gap_change, gap_digits, sign=True),
                estimate(measure.as_change(effect.score_change), digits, sign=True),
                _marked(ratio_cell(effect.time_ratio), disturbed=study.disturbed),
            ]
        row = [effect.variant.name, " ".join(effect.variant.assignments) or NOTHING, str(effect.seeds)]
        rows.append([*row, estimate(effect.gap, gap_digits), estimate(effect.score, digits), *changes])
    reference = study.effects[0].variant.name
    title = (
        f"Remedies, and their changes from {reference} on the same seeds: mean [95 % interval; those of "
        "changes hold for all remedies together]"
    )
    return Table(headers, rows, title, BUSY_LEGEND if study.disturbed else "")


def _marked(cell: Cell, *, disturbed: bool) -> Cell:
    return cell._replace(text=busy_mark(cell.text, disturbed=disturbed))
