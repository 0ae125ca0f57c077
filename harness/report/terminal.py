"""Runs side by side for the terminal, each in a column, as many columns as the width allows."""

import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from functools import partial

from harness.machine.quantities import QUANTITIES, Quantity
from harness.plugins.installation import identifying_versions
from harness.report.certificate_words import certificate_cell
from harness.report.numbers import NOTHING, busy_mark
from harness.report.table import Table, terminal_table
from harness.runs.record import Record
from harness.runs.summaries import generalization_gap, samples_per_second, step_time
from harness.training.measures import Scores

_ROW_NAME_WIDTH = 32
_PIPED_WIDTH = 160
_FINGERPRINT_DIGITS = 12
_ORIGIN_WIDTH = 24


def _number(value: float | None, form: str, scale: float = 1.0) -> str:
    return NOTHING if value is None else format(value * scale, form)


def _scores(scores: Scores | None) -> str:
    if scores is None:
        return NOTHING
    return f"{_number(scores.get('accuracy'), '.4f')} / {_number(scores['loss'], '.4f')}"


def _further(record: Record) -> str:
    """Test scores of the best epoch other than loss, accuracy and the recall of each class."""
    scores = record.test_at_best or {}
    shown = [
        f"{name.replace('_', ' ')} {_number(value, '.4g')}"
        for name, value in scores.items()
        if name not in ("loss", "accuracy") and not name.removeprefix("recall_").isdigit()
    ]
    return "\n".join(shown) or NOTHING


def _step(record: Record) -> str:
    steady = step_time(record)
    if steady is None:
        return NOTHING
    median, low, high = (f"{seconds * 1e3:.3g}" for seconds in steady)
    return _time(record, f"{median} ({low} to {high})")


def _time(record: Record, text: str) -> str:
    """A time of a run, marked if others used the machine."""
    return busy_mark(text, disturbed=record.disturbed)


def framework_text(backend: str, framework: dict[str, str]) -> str:
    """The versions that distinguish configurations of one backend, a line each."""
    versions = identifying_versions(backend, framework)
    lines = [f"{name} {version}" for name, version in versions.items()]
    return "\n".join(lines) or framework.get("engine", NOTHING)


def _data(record: Record) -> str:
    stand_in = record.dataset.stands_in_for
    return f"{record.dataset.name} (for {stand_in})" if stand_in else record.dataset.name


def _origin(record: Record) -> str:
    return "\n".join(textwrap.wrap(record.dataset.origin or NOTHING, _ORIGIN_WIDTH))


def _status(record: Record) -> str:
    return "lost: the harness was killed" if record.status == "lost" else record.status


def certified(record: Record) -> str:
    """``✓``, ``✓ without dropout``, ``in float32`` or ``no``; the reason of a ``no`` is under the table."""
    cell = certificate_cell(record)
    return {"yes": "✓", "no": "no", "in float32": "in float32"}.get(cell, f"✓ {cell}")


def _measured(quantity: Quantity, record: Record) -> str:
    return quantity.text(record.measured)


def _best_epoch(record: Record) -> str:
    return (
        f"{record.best_epoch} of {record.epochs[-1].epoch}"
        if record.best_epoch and record.epochs
        else NOTHING
    )


_ROWS: dict[str, Callable[[Record], str]] = {
    "backend": lambda record: record.configuration.label,
    "framework": lambda record: framework_text(record.configuration.backend, record.framework),
    "task, version": lambda record: f"{record.task.name} v{record.task.version}",
    "data": _data,
    "data fingerprint": lambda record: (record.dataset.fingerprint or NOTHING)[:_FINGERPRINT_DIGITS],
    "data origin": _origin,
    "device, precision": lambda record: (
        f"{record.device or record.configuration.device}, {record.configuration.precision}"
    ),
    "seed": lambda record: str(record.seed),
    "status": _status,
    "certified": certified,
    "parameters": lambda record: f"{record.parameters:,}",
    "steps": lambda record: f"{sum(block.steps for block in record.blocks):,}",
    "import, build (s)": lambda record: _time(
        record,
        ", ".join(
            _number(seconds, ".2f") for seconds in (record.phases.import_seconds, record.phases.build_seconds)
        ),
    ),
    "first step (s)": lambda record: _time(record, _number(record.phases.first_step_seconds, ".3f")),
    "step (ms), median (p5 to p95)": _step,
    "samples/s": lambda record: _time(record, _number(samples_per_second(record), ",.0f")),
    "training, first step included (s)": lambda record: _time(
        record, _number(record.phases.training_seconds, ".1f")
    ),
    "scoring (s)": lambda record: _time(record, _number(record.phases.evaluation_seconds, ".1f")),
    "train accuracy / loss": lambda record: _scores(record.epochs[-1].train if record.epochs else None),
    "validation accuracy / loss": lambda record: _scores(
        record.epochs[-1].validation if record.epochs else None
    ),
    "test accuracy / loss, last epoch": lambda record: _scores(record.test_at_last),
    "test accuracy / loss, best epoch": lambda record: _scores(record.test_at_best),
    "further test scores, best epoch": _further,
    "gap (train - validation acc.)": lambda record: _number(generalization_gap(record), "+.4f"),
    "best epoch (on validation)": _best_epoch,
    **{quantity.heading: partial(_measured, quantity) for quantity in QUANTITIES},
}


def terminal_width() -> int:
    """The terminal's width in columns, or a generous fixed width where output is no terminal."""
    if (sys.stdout is None or not sys.stdout.isatty()) and "COLUMNS" not in os.environ:
        return _PIPED_WIDTH
    return shutil.get_terminal_size().columns


def runs_table(records: Sequence[Record], width: int) -> str:
    """The runs side by side, in several tables one below the other where ``width`` is too small for one."""
    columns = [[form(record) for form in _ROWS.values()] for record in records]
    tables = []
    while columns:
        count = _fitting(columns, width)
        rows = list(zip(_ROWS, *columns[:count], strict=True))
        tables.append(terminal_table(Table((), rows), width))
        columns = columns[count:]
    return "\n\n".join(tables)


def _fitting(columns: Sequence[Sequence[str]], width: int) -> int:
    """How many of the columns fit, but at least one."""
    used = _ROW_NAME_WIDTH
    for count, column in enumerate(columns):
        used += 2 + max(len(line) for cell in column for line in cell.split("\n"))
        if count and used > width:
            return count
    return len(columns)


def disturbance(records: Sequence[Record]) -> str | None:
    """A line about other programs that used the machine during training; None where they were idle."""
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
