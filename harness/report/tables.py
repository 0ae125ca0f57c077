"""Findings as tables of text: one header, rows of cells, whatever they are then written into."""

from collections.abc import Sequence
from typing import NamedTuple

from harness.analysis.comparison import Comparison
from harness.analysis.configuration_summary import ConfigurationSummary
from harness.analysis.findings import SectionFindings
from harness.analysis.overfit import Overfitting
from harness.analysis.run_curves import Run
from harness.analysis.study_effects import StudyFinding
from harness.report.numbers import NOTHING, estimate, score_digits, significant
from harness.training.measures import Measure


class Table(NamedTuple):
    """A table; each row has a cell for each header."""

    headers: list[str]
    rows: list[list[str]]


def glance_table(sections: Sequence[SectionFindings]) -> Table:
    """All sides of all settings against the fastest of their setting, a row a side."""
    headers = ["setting", "side", "step time (× fastest)", "training (s)", "test score"]
    headers += ["score against fastest", "overfits from epoch"]
    rows = []
    for found in sections:
        comparison = found.comparison
        onsets = {one.side.name: _onset(one) for one in found.overfittings}
        for side in comparison.sides:
            unit = "%" if comparison.measure.unit else comparison.measure.name
            score = f"{_unbroken(estimate(side.quality, score_digits(comparison.measure)))} {unit}"
            times, verdict = _against_fastest(comparison, side)
            training = _unbroken(estimate(side.training_seconds, None))
            row = [comparison.section.title, side.side.name, _unbroken(times), training]
            rows.append([*row, score, verdict, _unbroken(onsets.get(side.side.name, NOTHING))])
    return Table(headers, rows)


def _unbroken(text: str) -> str:
    """A figure and its interval, which stay in one line where a cell is broken into several."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _against_fastest(comparison: Comparison, side: ConfigurationSummary) -> tuple[str, str]:
    """How many times as long a step takes, and whether the quality is the same."""
    if len(comparison.sides) == 1:
        return NOTHING, NOTHING
    if side is comparison.sides[0]:
        return "1", NOTHING
    if not comparison.pairs:
        return NOTHING, "not certified"
    pair = comparison.pair_of(side)
    return (NOTHING, NOTHING) if pair is None else (estimate(pair.ratio, 2), pair.quality_verdict)


def sides_table(comparison: Comparison, peak_flops: float | None = None) -> Table:
    """Quality, speed, time to the target and memory of each side, fastest first."""
    measure = comparison.measure
    headers = ["side", "seeds", _with_unit(f"test {measure.name}", measure), "step (ms)", "samples/s"]
    headers += ["GFLOP/s", "training (s)"]
    if comparison.target is not None:
        at_least = "≥" if measure.higher_is_better else "≤"
        target = significant(comparison.target) + (" %" if measure.unit else "")
        headers.append(f"time to validation {measure.name} {at_least} {target} (s)")
    headers += ["memory (MiB)", "on the Pareto front"]
    return Table(headers, [_side_row(side, measure, peak_flops) for side in comparison.sides])


def _with_unit(name: str, measure: Measure) -> str:
    return f"{name} (%)" if measure.unit == "points" else name


def _side_row(side: ConfigurationSummary, measure: Measure, peak_flops: float | None) -> list[str]:
    flops = NOTHING if side.flops_per_second is None else significant(side.flops_per_second / 1e9)
    if peak_flops and side.flops_per_second:
        flops += f" ({side.flops_per_second / peak_flops:.0%} of peak)"
    row = [
        side.side.name,
        str(len(side.side.runs)),
        estimate(side.quality, score_digits(measure)),
        estimate(side.step_seconds and side.step_seconds.scaled(1e3), None),
        significant(side.samples_per_second),
        flops,
        estimate(side.training_seconds, None),
    ]
    if side.to_target is not None:
        row.append(_target(side))
    memory = side.peak_memory_bytes
    return [*row, NOTHING if memory is None else f"{memory / 2**20:,.0f}", "yes" if side.on_front else "no"]


def _target(side: ConfigurationSummary) -> str:
    target = side.to_target
    if target is None or not target.reached:
        return "not reached"
    text = estimate(target.seconds, None)
    return text if target.reached == target.of else f"{text}, by {target.reached} of {target.of} runs"


def phases_table(comparison: Comparison) -> Table:
    """Where the time of a run went, mean seconds over the runs of each side."""
    names = list(dict.fromkeys(name for side in comparison.sides for name in side.phases))
    rows = [
        [side.side.name, *(significant(side.phases.get(name)) for name in names)] for side in comparison.sides
    ]
    return Table(["side", *(f"{name} (s)" for name in names)], rows)


def overfitting_table(found: Sequence[Overfitting]) -> Table:
    """Gap, GL, PQ, onset and what stopping would have done, a row a side."""
    measure = found[0].measure
    unit, digits = (f" ({measure.unit})" if measure.unit else ""), score_digits(measure)
    adversarial = "train real" in found[0].bands
    headers = ["side", "gap at the end (points)" if adversarial else f"gap at the end{unit}"]
    headers += ["onset (epoch)", "best epoch", "GL at the end (%)", "PQ at the end"]
    headers += [f"validation lost{unit}", f"test gained at best{unit}"]
    if adversarial:
        headers.append("memorisation ratio")
    rows = []
    for one in found:
        row = [one.side.name, estimate(one.gap, 1 if adversarial else digits), _onset(one)]
        row += [NOTHING if one.best_epoch is None else f"{one.best_epoch:g}"]
        row += [estimate(one.generalization_loss), significant(one.progress_quotient)]
        row += [estimate(one.lost, digits, sign=True), estimate(one.gained, digits, sign=True)]
        if adversarial:
            row.append(estimate(one.memorization_ratio, 2))
        rows.append(row)
    return Table(headers, rows)


def _onset(found: Overfitting) -> str:
    if found.onset.epoch is None:
        return NOTHING
    if found.onset.epoch == 0:
        return "none"
    between = found.onset.interval
    return str(found.onset.epoch) + (f" [{between[0]}, {between[1]}]" if between else "")


def study_table(found: StudyFinding) -> Table:
    """A row a remedy: its levels and its differences from the plain runs."""
    measure = found.measure
    digits = score_digits(measure)
    gap_digits = score_digits(found.gap_measure)
    unit, gap_unit = (f" ({of.unit})" if of.unit else "" for of in (measure, found.gap_measure))
    headers = ["remedy", "options", "seeds", f"gap{gap_unit}", _with_unit(f"test {measure.name}", measure)]
    headers += [f"change of gap{gap_unit}", f"change of test{unit}", "training time (×)"]
    rows = []
    for place, effect in enumerate(found.effects):
        changes = [NOTHING] * 3
        if place:
            changes = [
                estimate(effect.gap_change, gap_digits, sign=True),
                estimate(measure.as_change(effect.score_change), digits, sign=True),
                estimate(effect.time_ratio, 2),
            ]
        row = [effect.variant.name, " ".join(effect.variant.assignments) or NOTHING, str(effect.seeds)]
        row += [estimate(effect.gap, gap_digits), estimate(effect.score, digits), *changes]
        rows.append(row)
    return Table(headers, rows)


def runs_list(runs: Sequence[Run]) -> Table:
    """A row a run: what can be looked up with ``harness show``."""
    headers = ["run", "task", "side", "seed", "test score", "step (ms)", "training (s)", "epochs"]
    rows = []
    for run in runs:
        record, measure = run.record, run.measure
        score = run.score(measure.key)
        step = None if run.step_median is None else run.step_median * 1e3
        row = [record.id, f"{record.task.name} on {record.dataset.name}", record.label, str(record.seed)]
        row += [significant(None if score is None else score * measure.factor), significant(step)]
        rows.append([*row, f"{record.phases.training_seconds:.2f}", str(len(run.curves.get("epoch", ())))])
    return Table(headers, rows)
