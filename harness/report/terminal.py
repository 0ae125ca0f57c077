"""Tables for the terminal: a run a column, a measure a row, as many columns as the width allows."""

import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence

from harness.plugins.versions import side_versions
from harness.report.fitting import fitted_table
from harness.runs.record import Record
from harness.runs.summaries import generalization_gap, samples_per_second, step_time
from harness.training.measures import Scores

_NOTHING = "–"
_ROW_NAME_WIDTH = 32
_PIPED_WIDTH = 160
_FINGERPRINT_DIGITS = 12
_ORIGIN_WIDTH = 24
#: Of all CPUs; what is below it no timing shows.
_BUSY_SHARE = 0.05


def _number(value: float | None, form: str, scale: float = 1.0) -> str:
    return _NOTHING if value is None else format(value * scale, form)


def _scores(scores: Scores | None) -> str:
    if scores is None:
        return _NOTHING
    return f"{_number(scores.get('accuracy'), '.4f')} / {_number(scores['loss'], '.4f')}"


def _further(record: Record) -> str:
    """Test scores of the best epoch other than those of the rows above and the recall of each class."""
    scores = record.test_at_best or {}
    shown = [
        f"{name.replace('_', ' ')} {_number(value, '.4g')}"
        for name, value in scores.items()
        if name not in ("loss", "accuracy") and not name.removeprefix("recall_").isdigit()
    ]
    return "\n".join(shown) or _NOTHING


def _step(record: Record) -> str:
    steady = step_time(record)
    if steady is None:
        return _NOTHING
    median, low, high = (f"{seconds * 1e3:.3g}" for seconds in steady)
    return f"{median} ({low} to {high})"


def framework_text(backend: str, framework: dict[str, str]) -> str:
    """The versions that tell a side from others of its backend, a line each."""
    versions = side_versions(backend, framework)
    told = [f"{name} {version}" for name, version in versions.items()]
    return "\n".join(told) or framework.get("engine", _NOTHING)


def _data(record: Record) -> str:
    stand_in = record.dataset.stands_in_for
    return f"{record.dataset.name} (for {stand_in})" if stand_in else record.dataset.name


def _origin(record: Record) -> str:
    return "\n".join(textwrap.wrap(record.dataset.origin or _NOTHING, _ORIGIN_WIDTH))


def _status(record: Record) -> str:
    # The worker's end is always recorded; only the end of the parent itself can leave this word.
    return "running, or its harness was killed" if record.status == "running" else record.status


def certified(record: Record) -> str:
    """``✓`` with a certificate; what is wrong is told under the table."""
    return "✓ certified" if record.certificate and record.certificate.certified else "not certified"


def _memory(record: Record) -> str:
    host = _number(record.peak_memory_bytes, ".0f", 1 / 2**20)
    device = record.device_peak_memory_bytes
    return host if device is None else f"{host} + {device / 2**20:.0f} on device"


def _best_epoch(record: Record) -> str:
    return f"{record.best_epoch} of {len(record.epochs)}" if record.best_epoch else _NOTHING


_ROWS: dict[str, Callable[[Record], str]] = {
    "backend": lambda record: record.label,
    "framework": lambda record: framework_text(record.backend, record.framework),
    "task, version": lambda record: f"{record.task.name} v{record.task.version}",
    "data": _data,
    "data fingerprint": lambda record: (record.dataset.fingerprint or _NOTHING)[:_FINGERPRINT_DIGITS],
    "data origin": _origin,
    "device, precision": lambda record: f"{record.device or record.device_asked}, {record.precision}",
    "seed": lambda record: str(record.seed),
    "status": _status,
    "same work as the reference": certified,
    "parameters": lambda record: f"{record.parameters:,}",
    "steps made": lambda record: f"{sum(block.steps for block in record.blocks):,}",
    "import, build (s)": lambda record: ", ".join(
        _number(seconds, ".2f") for seconds in (record.phases.import_seconds, record.phases.build_seconds)
    ),
    "first step (s)": lambda record: _number(record.phases.first_step_seconds, ".3f"),
    "step (ms), median (p5 to p95)": _step,
    "samples/s": lambda record: _number(samples_per_second(record), ",.0f"),
    "training (s)": lambda record: _number(record.phases.training_seconds, ".1f"),
    "evaluation (s)": lambda record: _number(record.phases.evaluation_seconds, ".1f"),
    "train accuracy / loss": lambda record: _scores(record.epochs[-1].train if record.epochs else None),
    "validation accuracy / loss": lambda record: _scores(
        record.epochs[-1].validation if record.epochs else None
    ),
    "test accuracy / loss": lambda record: _scores(record.test_at_last),
    "test at best epoch": lambda record: _scores(record.test_at_best),
    "further test scores": _further,
    "gap (train - validation acc.)": lambda record: _number(generalization_gap(record), "+.4f"),
    "best epoch (on validation)": _best_epoch,
    "peak memory (MiB)": _memory,
}


def terminal_width() -> int:
    """Columns to fill: the terminal's, or a generous fixed width where output is no terminal."""
    if (sys.stdout is None or not sys.stdout.isatty()) and "COLUMNS" not in os.environ:
        return _PIPED_WIDTH
    return shutil.get_terminal_size().columns


def runs_table(records: Sequence[Record], width: int) -> str:
    """The runs side by side, in several tables one under the other where ``width`` is too small for one."""
    columns = [[form(record) for form in _ROWS.values()] for record in records]
    tables = []
    while columns:
        taken = 0
        used = _ROW_NAME_WIDTH
        for column in columns:
            used += 2 + max(len(line) for cell in column for line in cell.split("\n"))
            if taken and used > width:
                break
            taken += 1
        rows = zip(_ROWS, *columns[:taken], strict=True)
        tables.append(fitted_table(list(rows), width))
        columns = columns[taken:]
    return "\n\n".join(tables)


def disturbance(records: Sequence[Record]) -> str | None:
    """A line about who else used the machine while runs trained; None where that does not matter."""
    measured = [record.interference for record in records if record.interference]
    busy = [found for found in measured if found.others + found.stolen > _BUSY_SHARE * found.cpus]
    if not busy:
        return None
    worst = max(busy, key=lambda found: found.others + found.stolen)
    return (
        f"The machine was busy in {len(busy)} of {len(records)} runs: of its {worst.cpus} CPUs other "
        f"programs used up to {worst.others:.1f} and the hypervisor took {worst.stolen:.1f} (steal time). "
        "Expect slow and scattered times."
    )
