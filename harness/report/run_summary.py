"""The end of ``harness run``: a line for each run, or a comparison if several configurations ran a task."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.analysis.axes import BACKEND
from harness.analysis.findings import Findings, GroupFindings, find
from harness.analysis.run_curves import Run
from harness.audit.words import verified_work
from harness.report.certificate_words import certificate_cell
from harness.report.duel import DECIDES, next_duel
from harness.report.fitting import filled
from harness.report.numbers import (
    BUSY_LEGEND,
    NOTHING,
    busy_mark,
    failure_text,
    percent,
    score_value,
    significant,
    test_score,
)
from harness.report.setting_tables import group_table
from harness.report.table import Table, terminal_table
from harness.report.tables import comparison_table
from harness.report.terminal import disturbance
from harness.report.words import headline, variation_sentence
from harness.runs.record import Record
from harness.runs.store import results_option
from harness.runs.summaries import step_time
from harness.training.measures import measure_of_task

_LEGEND = (
    "Certified: agrees with the reference in float64. Test scores are those after the last epoch. Step time: "
    "median (5th to 95th percentile) of the blocks of steps after the warm-up. Training: all steps with the "
    "first one, without import, build and scoring."
)
_LAST_LINES = 5
#: From this share of the time on, the summary states how to score less.
_MUCH_SCORING = 0.5


def run_summary(records: Sequence[Record], folder: Path, width: int) -> str:
    """The result of the runs, what is wrong with any of them, and where the records are."""
    comparison = _comparison(records, folder, width) if _is_comparison(records) else None
    parts = [
        comparison or _runs(records, width),
        *_remarks(records, starred=comparison is None),
        _ending(records, folder),
    ]
    return "\n\n".join(part for part in parts if part)


def _is_comparison(records: Sequence[Record]) -> bool:
    """Whether a task was run in several configurations or settings."""
    trained = {
        (
            record.task.name,
            record.configuration.label,
            record.task.sha256,
            record.configuration.precision,
            record.configuration.threads,
        )
        for record in records
    }
    return len(trained) > len({record.task.name for record in records})


def _runs(records: Sequence[Record], width: int) -> str:
    """A line for each run, in order."""
    measures = {measure_of_task(record.task.description).name for record in records}
    score = f"test {measures.pop()}" if len(measures) == 1 else "test score"
    seeds = len({record.seed for record in records}) > 1
    failures = any(record.status != "ok" for record in records)
    headers = ["task", "backend", *["seed"] * seeds, *["status"] * failures, "certified", score]
    rows = [
        [
            record.task.name,
            record.configuration.label,
            *[str(record.seed)] * seeds,
            *[record.status] * failures,
            certified(record),
            _score(record, named=score == "test score"),
            _step(record),
            _seconds(record),
        ]
        for record in records
    ]
    table = Table([*headers, "step time", "training"], rows)
    titles = dict.fromkeys(_conditions(record) for record in records)
    busy = any(record.disturbed for record in records)
    legend = filled(" ".join([_LEGEND, *[BUSY_LEGEND] * busy]), width)
    return "\n".join([*titles, "", terminal_table(table, width), legend])


def _conditions(record: Record) -> str:
    """``cnn on digits: 10 epochs, cpu, float32, 2 threads``."""
    epochs = f"{record.epochs_asked} epoch{'s' * (record.epochs_asked > 1)}"
    steps = f", at most {record.max_steps:,} steps" if record.max_steps else ""
    threads = f"{record.configuration.threads} thread{'s' * (record.configuration.threads > 1)}"
    device = record.device or record.configuration.device
    trained = f"{record.task.name} on {record.dataset.name}: {epochs}{steps}"
    return f"{trained}, {device}, {record.configuration.precision}, {threads}"


def certified(record: Record) -> str:
    """Whether the run's configuration has a certificate for its task."""
    return certificate_cell(record)


def _score(record: Record, *, named: bool) -> str:
    if not record.test_at_last:
        return NOTHING
    return (
        test_score(record)
        if named
        else score_value(measure_of_task(record.task.description), record.test_at_last)
    )


def _step(record: Record) -> str:
    steady = step_time(record)
    if steady is None:
        return NOTHING
    median, low, high = (significant(1e3 * seconds) for seconds in steady)
    unconfirmed = " *" * (record.clock is not None and record.clock.outcome == "not confirmed")
    text = busy_mark(f"{median} ms ({low}–{high}){unconfirmed}", disturbed=record.disturbed)
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _seconds(record: Record) -> str:
    if not record.blocks:
        return NOTHING
    return busy_mark(f"{significant(record.phases.training_seconds)} s", disturbed=record.disturbed)


def _comparison(records: Sequence[Record], folder: Path, width: int) -> str | None:
    from harness.report.run_summary import run_comparison  # it needs NumPy and SciPy

    return run_comparison(records, folder, width)


def _remarks(records: Sequence[Record], *, starred: bool) -> Iterable[str]:
    """Stand-ins, failures, missing certificates and a busy machine.

    ``starred``: the table marks the times of a clock that is not confirmed with a star.
    """
    stand_ins = {r.dataset.stands_in_for: r.dataset.name for r in records if r.dataset.stands_in_for}
    for meant, used in stand_ins.items():
        yield f"{used} stands in for {meant}, which is not available."
    for record in records:
        if record.failure is not None:
            name = f"{record.task.name}, {record.configuration.label}, seed {record.seed}"
            line = f"{name}: {failure_text(record.status, record.failure)}"
            yield "\n    ".join([line, *record.failure.last_lines[-_LAST_LINES:]])
    yield from dict.fromkeys(
        f"{record.configuration.label} on {record.task.name} is not certified; do not compare its figures "
        f"with others: {record.certificate.reason}"
        for record in records
        if record.certificate and not record.certificate.certified and record.status != "unsupported"
    )
    yield from (f"{'* ' * starred}{sentence}" for sentence in _unconfirmed_clocks(records))
    yield from dict.fromkeys(
        f"The timed work of {record.configuration.label} on {record.task.name} was "
        f"{verified_work(record.verification)}."
        for record in records
        if record.verification is not None and record.verification.outcome == "not verified"
    )
    yield from dict.fromkeys(
        f"The timed work of {record.configuration.label} on {record.task.name} could not be compared with "
        f"NumPy: {record.verification.independent.detail}"
        for record in records
        if record.verification is not None
        and record.verification.independent is not None
        and record.verification.independent.gap == "program failed"
    )
    yield from filter(None, (_scoring(records), disturbance(records)))


def _unconfirmed_clocks(records: Sequence[Record]) -> Iterable[str]:
    """A sentence about times that other programs may have changed, with all runs that it concerns."""
    clocks = [(r, r.clock) for r in records if r.clock is not None and r.clock.outcome == "not confirmed"]
    if clocks:
        names = dict.fromkeys(f"{record.configuration.label} on {record.task.name}" for record, _ in clocks)
        most = max(clock.others_share for _, clock in clocks)
        yield (
            f"clock: not confirmed for {', '.join(names)}: other programs used {percent(most)} of the CPUs, "
            "which may explain time that the worker did not report."
        )


def _scoring(records: Sequence[Record]) -> str:
    """``Scoring took 31.5 s, 63 % of training and scoring.``; empty where nothing was scored."""
    scoring = sum(record.phases.evaluation_seconds for record in records)
    both = scoring + sum(record.phases.training_seconds for record in records)
    if not scoring:
        return ""
    share = scoring / both
    advice = " --eval-every N and --eval-samples N reduce it." if share > _MUCH_SCORING else ""
    return f"Scoring took {significant(scoring)} s, {percent(share)} of training and scoring.{advice}"


def _ending(records: Sequence[Record], folder: Path) -> str:
    last = f"{folder / records[-1].id}.json"
    where = results_option(folder.parent)
    show = f"Details: harness show last{where}"
    if len(records) == 1:
        return f"Record: {last}\n{show}"
    return f"Records: {last} and {len(records) - 1} more\n{show}, harness compare{where}"


# The end of a ``harness run`` of several configurations or settings: answers and tables. It needs NumPy.


def run_comparison(records: Sequence[Record], folder: Path, width: int) -> str | None:
    """The answer of each comparison, then tables, the fastest or best first; None where no run succeeded.

    ``folder`` is that of the records. Runs that did not succeed are not in the tables.
    """
    findings = _findings(records)
    if not findings.groups:
        return None
    answers = "\n\n".join(_answer(group, folder, width) for group in findings.groups)
    of_settings = [group for group in findings.groups if group.comparison.group.is_of_settings]
    others = [group for group in findings.groups if not group.comparison.group.is_of_settings]
    tables = [*map(group_table, of_settings), *([comparison_table(others)] if others else [])]
    shown = ["\n" + terminal_table(table, width) for table in tables]
    legends = dict.fromkeys(filled(table.legend, width) for table in tables if table.legend)
    return "\n".join([answers, *shown, *legends, *map(variation_sentence, findings.variations)])


def _findings(records: Sequence[Record]) -> Findings:
    """Of one backend every combination of settings: whoever runs a grid has chosen its axes."""
    runs = [Run.of(record) for record in records]
    findings = find(runs)
    axes = {tuple(variation.values) for variation in findings.variations}
    if len(axes) == 1 and BACKEND not in (chosen := next(iter(axes))):
        return find(runs, by=",".join(chosen))
    return findings


def _answer(group: GroupFindings, folder: Path, width: int) -> str:
    """A title, the answer, and the command of a duel in a line of its own to be copied."""
    comparison = group.comparison
    command = next_duel(comparison, folder.parent)
    duel = [f"{DECIDES}\n  {command}"] if command else []
    return "\n".join([comparison.group.title, filled(headline(comparison), width), *duel])
