"""The end of ``harness run``: a line for each configuration, what is wrong with any run; what varies."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from harness.core.audit.words import verified_work
from harness.core.certify.certificate import Certificate
from harness.core.documents.document import Document, Items, Node, Paragraph, table_of
from harness.core.documents.numbers import (
    BUSY_LEGEND,
    FEW_SEEDS_LEGEND,
    busy_mark,
    counted,
    estimate,
    score_digits,
    score_unit,
)
from harness.core.documents.results import results_option
from harness.core.plugins.options import Value, value_text
from harness.core.runs.extensions import AfterTraining, remarks_of
from harness.core.runs.own_models import proof_sentences
from harness.core.runs.record import Record, step_time
from harness.core.runs.words import certificate_cell, failure_text
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import FEWEST_FOR_INTERVAL, bounded_interval, geometric_interval
from harness.core.training.measures import measure_of_task

_T = TypeVar("_T")
_OVER_SEEDS = "Means over seeds with 95 % intervals; those of times are geometric."
_LAST_LINES = 5


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
    remarks = _remarks(records, works)
    paragraphs = [Paragraph(text, "lines" if "\n" in text else "") for text in remarks]
    nodes: list[Node] = [*(comparison or _runs(records)), *paragraphs, _ending(records, folder)]
    return Document("run", "Runs", nodes)


def _runs(records: Sequence[Record]) -> list[Node]:
    """Return the conditions of the runs, and a line for each configuration, in order.

    Several seeds of a configuration are one line, of the means of the runs that succeeded.
    """
    measures = {measure_of_task(record.task.description).name for record in records}
    score = f"test {next(iter(measures))}" if len(measures) == 1 else "test score"
    groups = _by_configuration(records)
    several = any(len(group) > 1 for group in groups)
    failures = any(record.status != "ok" for record in records)
    rows, few = [], False
    for group in groups:
        ok = [record for record in group if record.status == "ok"]
        few = few or len(ok) < FEWEST_FOR_INTERVAL
        step, training = _times(ok)
        row = {
            "task": group[0].task.name,
            "backend": group[0].configuration.label,
            "seeds": str(len(ok)) if several else None,
            "status": _status(group) if failures else None,
            "certified": " / ".join(dict.fromkeys(map(certificate_cell, ok or group))),
            score: _score(ok or group, named=len(measures) > 1),
            "step time": step,
            "training": training,
        }
        rows.append(row)
    legend = (
        "Certified: agrees with the reference in float64.",
        "Test scores are those after the last epoch.",
        "Step time: median of the blocks of steps after the warm-up.",
        *[_OVER_SEEDS] * several,
        "Training: all steps with the first one, without import, build and scoring.",
        *[FEW_SEEDS_LEGEND] * (several and few),
        *[BUSY_LEGEND] * any(record.disturbed for record in records),
    )
    titles = dict.fromkeys(_conditions(record) for record in records)
    return [Items(list(titles)), table_of(rows, legend=legend)]


def _by_configuration(records: Sequence[Record]) -> list[list[Record]]:
    """Group the runs that differ in their seed alone."""
    groups = defaultdict(list)
    for record in records:
        task, data = record.task, record.dataset
        trained = task.name, task.sha256, data.name, data.fingerprint, record.epochs_asked, record.max_steps
        groups[trained, record.configuration].append(record)
    return list(groups.values())


def _status(group: Sequence[Record]) -> str:
    """Return ``ok``, or of several runs how many ended in which way: ``2 ok, 1 failed``."""
    counts = Counter(record.status for record in group)
    if len(group) == 1 or set(counts) == {"ok"}:
        return group[0].status
    return ", ".join(f"{count} {status}" for status, count in counts.items())


def _conditions(record: Record) -> str:
    """Describe the conditions of a run: ``cnn on digits: 10 epochs, cpu, float32, 2 threads``."""
    epochs = counted(record.epochs_asked, "epoch")
    steps = f", at most {record.max_steps:,} steps" if record.max_steps else ""
    threads = counted(record.configuration.threads, "thread")
    device = record.device or record.configuration.device
    trained = f"{record.task.name} on {record.dataset.name}: {epochs}{steps}"
    return f"{trained}, {device}, {record.configuration.precision}, {threads}"


def _score(group: Sequence[Record], *, named: bool) -> str:
    """Return the mean of the test scores, with its interval for several seeds: ``94.2 [93.8, 94.6] %``."""
    measure = measure_of_task(group[0].task.description)
    known = _each(group, lambda record: (record.test_at_last or {}).get(measure.key))
    mean = bounded_interval([measure.factor * score for score in known], measure.upper)
    text = estimate(mean, score_digits(measure), score_unit(measure))
    return f"{measure.name} {text}" if named and mean else text


def _times(group: Sequence[Record]) -> tuple[str, str]:
    """Return the mean step and the mean training time, each with its interval for several seeds."""
    steps = [1e3 * seconds for seconds in _each(group, step_time)]
    judged = _each(group, lambda record: record.judged_seconds if record.blocks else None)
    return (
        _time(geometric_interval(steps), "ms", group),
        _time(geometric_interval([each.training_seconds for each in judged]), "s", group),
    )


def _time(mean: Estimate | None, unit: str, group: Sequence[Record]) -> str:
    text = busy_mark(estimate(mean, None, unit), disturbed=any(record.disturbed for record in group))
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _each(group: Sequence[Record], value_of: Callable[[Record], _T | None]) -> list[_T]:
    """Return the known values of the records."""
    return [value for record in group if (value := value_of(record)) is not None]


def _remarks(records: Sequence[Record], works: Sequence[AfterTraining]) -> Iterable[str]:
    """Yield remarks on stand-ins, failures, missing certificates and a busy machine."""
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
    verified = [(name, record.verification) for name, record in named if record.verification]
    yield from dict.fromkeys(
        f"The timed work of {name} was {verified_work(verification)}."
        for name, verification in verified
        if verification.outcome == "not verified"
    )
    if busy := disturbance(records):
        yield busy


def _uncertified(name: str, certificate: Certificate) -> str:
    """State with which figures those of a run that is not certified compare."""
    if certificate.possible:
        return f"{name} is not certified; do not compare its figures with others: {certificate.reason}"
    return "Models of your own have no certificate: their figures compare within one framework."


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
    worst = max(busy, key=lambda load: load.others)
    several = len(records) > 1
    when = f" in {len(busy)} of {len(records)} runs" if several else ""
    return (
        f"The machine was busy{when}: of its {worst.cpus} CPUs, other programs used "
        f"{'up to ' * several}{worst.others:.1f}. "
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
