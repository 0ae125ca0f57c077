"""The end of ``harness run``: a line for each run and what is wrong with any; what varies in a matrix."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from harness.core.audit.words import unconfirmed_clocks, verified_work
from harness.core.certify.certificate import Certificate
from harness.core.documents.document import Document, Items, Node, Paragraph, table_of
from harness.core.documents.numbers import (
    BUSY_LEGEND,
    NOTHING,
    busy_mark,
    counted,
    percent,
    score_value,
    significant,
)
from harness.core.documents.results import results_option
from harness.core.plugins.options import Value, value_text
from harness.core.runs.extensions import AfterTraining, remarks_of
from harness.core.runs.own_models import proof_sentences
from harness.core.runs.record import Record, step_time
from harness.core.runs.words import certificate_cell, failure_text, test_score
from harness.core.training.measures import measure_of_task

_LEGEND = (
    "Certified: agrees with the reference in float64.",
    "Test scores are those after the last epoch.",
    "Step time: median (5th to 95th percentile) of the blocks of steps after the warm-up.",
    "Training: all steps with the first one, without import, build and scoring.",
)
_LAST_LINES = 5
#: From this share of the time on, the summary states how to score less.
_MUCH_SCORING = 0.5


def summary_document(
    records: Sequence[Record],
    folder: Path,
    comparison: Sequence[Node] = (),
    *,
    works: Sequence[AfterTraining] = (),
) -> Document:
    """Show the results of the runs, their problems, remarks of ``works``, and the place of the records.

    A ``comparison`` of the runs, if a feature has made one, replaces the line for each run.
    """
    remarks = _remarks(records, works, starred=not comparison)
    paragraphs = [Paragraph(text, "lines" if "\n" in text else "") for text in remarks]
    nodes: list[Node] = [*(comparison or _runs(records)), *paragraphs, _ending(records, folder)]
    return Document("run", "Runs", nodes)


def _runs(records: Sequence[Record]) -> list[Node]:
    """Return the conditions of the runs, and a line for each run, in order."""
    measures = {measure_of_task(record.task.description).name for record in records}
    score = f"test {next(iter(measures))}" if len(measures) == 1 else "test score"
    seeds = len({record.seed for record in records}) > 1
    failures = any(record.status != "ok" for record in records)
    rows = [
        {
            "task": record.task.name,
            "backend": record.configuration.label,
            "seed": str(record.seed) if seeds else None,
            "status": record.status if failures else None,
            "certified": certificate_cell(record),
            score: _score(record, named=len(measures) > 1),
            "step time": _step(record),
            "training": _seconds(record),
        }
        for record in records
    ]
    legend = (*_LEGEND, *[BUSY_LEGEND] * any(record.disturbed for record in records))
    titles = dict.fromkeys(_conditions(record) for record in records)
    return [Items(list(titles)), table_of(rows, legend=legend)]


def _conditions(record: Record) -> str:
    """Describe the conditions of a run: ``cnn on digits: 10 epochs, cpu, float32, 2 threads``."""
    epochs = counted(record.epochs_asked, "epoch")
    steps = f", at most {record.max_steps:,} steps" if record.max_steps else ""
    threads = counted(record.configuration.threads, "thread")
    device = record.device or record.configuration.device
    trained = f"{record.task.name} on {record.dataset.name}: {epochs}{steps}"
    return f"{trained}, {device}, {record.configuration.precision}, {threads}"


def _score(record: Record, *, named: bool) -> str:
    if named and record.test_at_last:
        return test_score(record)
    return score_value(measure_of_task(record.task.description), record.test_at_last)


def _step(record: Record) -> str:
    steady = step_time(record)
    if steady is None:
        return NOTHING
    median, low, high = (significant(1e3 * seconds) for seconds in steady)
    star = " *" * _is_unconfirmed(record)
    text = busy_mark(f"{median} ms ({low}–{high}){star}", disturbed=record.disturbed)
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _is_unconfirmed(record: Record) -> bool:
    return record.clock is not None and record.clock.outcome == "not confirmed"


def _seconds(record: Record) -> str:
    seconds = record.judged_seconds
    if not record.blocks or seconds is None:
        return NOTHING
    return busy_mark(f"{significant(seconds.training_seconds)} s", disturbed=record.disturbed)


def _remarks(records: Sequence[Record], works: Sequence[AfterTraining], *, starred: bool) -> Iterable[str]:
    """Yield remarks on stand-ins, failures, missing certificates and a busy machine.

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
    named = [(f"{record.configuration.label} on {record.task.name}", record) for record in records]
    yield from dict.fromkeys(
        _uncertified(name, record.certificate)
        for name, record in named
        if record.certificate and not record.certificate.certified and record.status != "unsupported"
    )
    yield from proof_sentences(records)
    yield from dict.fromkeys(
        sentence for record in records for work in works for sentence in remarks_of(work, record)
    )
    yield from dict.fromkeys(
        f"{work} of {name} failed after the training: {entry.failure}"
        for name, record in named
        for work, entry in record.extensions.items()
        if entry.failure
    )
    clocks = [(name, record.clock) for name, record in named if record.clock and _is_unconfirmed(record)]
    if clocks:
        names = ", ".join(dict.fromkeys(name for name, _ in clocks))
        explained = unconfirmed_clocks([clock for _, clock in clocks])
        yield f"{'* ' * starred}clock: not confirmed for {names}: {explained}."
    verified = [(name, record.verification) for name, record in named if record.verification]
    yield from dict.fromkeys(
        f"The timed work of {name} was {verified_work(verification)}."
        for name, verification in verified
        if verification.outcome == "not verified"
    )
    yield from dict.fromkeys(
        f"The timed work of {name} could not be compared with NumPy: {verification.independent.detail}"
        for name, verification in verified
        if verification.independent is not None and verification.independent.gap == "program failed"
    )
    yield from filter(None, (_scoring(records), disturbance(records)))


def _uncertified(name: str, certificate: Certificate) -> str:
    """State with which figures those of a run that is not certified compare."""
    if certificate.possible:
        return f"{name} is not certified; do not compare its figures with others: {certificate.reason}"
    return "Models of your own have no certificate: their figures compare within one framework."


def _scoring(records: Sequence[Record]) -> str:
    """State the time of scoring: ``Scoring took 31.5 s, 63 % of training and scoring.``; empty for none."""
    judged = [seconds for record in records if (seconds := record.judged_seconds) is not None]
    scoring = sum(seconds.evaluation_seconds for seconds in judged)
    both = scoring + sum(seconds.training_seconds for seconds in judged)
    if not scoring:
        return ""
    share = scoring / both
    advice = " --eval-every N and --eval-samples N reduce it." if share > _MUCH_SCORING else ""
    return f"Scoring took {significant(scoring)} s, {percent(share)} of training and scoring.{advice}"


def _ending(records: Sequence[Record], folder: Path) -> Paragraph:
    last = f"{folder / records[-1].id}.json"
    where = results_option(folder.parent)
    show = f"Details: harness show last{where}"
    if len(records) == 1:
        return Paragraph(f"Record: {last}\n{show}", "lines")
    text = f"Records: {last} and {len(records) - 1} more\n{show}, harness compare{where}"
    return Paragraph(text, "lines")


def disturbance(records: Sequence[Record]) -> str | None:
    """Describe how other programs used the machine during training; None if no run was disturbed."""
    busy = [record.interference for record in records if record.interference and record.disturbed]
    if not busy:
        return None
    worst = max(busy, key=lambda load: load.taken)
    stolen = f"{worst.stolen:.1f}"
    hypervisor = f" and the hypervisor took {stolen} (steal time)" if float(stolen) else ""
    several = len(records) > 1
    when = f" in {len(busy)} of {len(records)} runs" if several else ""
    return (
        f"The machine was busy{when}: of its {worst.cpus} CPUs, other programs used "
        f"{'up to ' * several}{worst.others:.1f}{hypervisor}. "
        "Times are longer and vary more than on an idle machine."
    )


def matrix_sentence(axes: Mapping[str, Sequence[Value]], runs: int) -> str:
    """Describe a matrix: ``12 runs: optimizer adam, sgd × seed 0 to 2``; empty for a single run."""
    if runs == 1:
        return ""
    return f"{runs} runs: " + " × ".join(f"{name} {_values(values)}" for name, values in axes.items())


def _values(values: Sequence[Value]) -> str:
    """List the values, or the ends of three or more consecutive integers."""
    first = values[0]
    consecutive = isinstance(first, int) and list(values) == [*range(first, first + len(values))]
    if consecutive and len(values) > 2:  # noqa: PLR2004
        return f"{first} to {values[-1]}"
    return ", ".join(map(value_text, values))
