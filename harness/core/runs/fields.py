"""Fields of a run's record by which runs are selected and compared, as by the options of their task."""

from collections.abc import Callable

from harness.core.plugins.installation import identifying_versions
from harness.core.plugins.options import Value, value_text
from harness.core.runs.own_models import model_text
from harness.core.runs.record import Record

#: Values of fields and options; None where the record has none, such as the batch size of full batches.
AxisValue = Value | None


def versions_text(record: Record) -> str:
    """Return the versions that identify the configuration of a record."""
    versions = identifying_versions(record.configuration.backend, record.framework)
    return ", ".join(f"{name} {version}" for name, version in versions.items())


#: The fields of a record that are axes, beside the options of its task.
FIELDS: dict[str, Callable[[Record], AxisValue]] = {
    "model": model_text,
    "backend": lambda record: record.configuration.backend,
    "mode": lambda record: record.configuration.mode,
    "version": versions_text,
    "device": lambda record: record.device,
    "precision": lambda record: record.configuration.precision,
    "threads": lambda record: record.configuration.threads,
    "batch_size": lambda record: record.task.description.batch_size,
    "epochs": lambda record: record.epochs_asked,
    "max_steps": lambda record: record.max_steps,
}
#: The text of None on an axis; on other axes None is unknown.
_WITHOUT = {"batch_size": "all", "max_steps": "none"}


def value_of(record: Record, axis: str) -> AxisValue:
    """Return the value of a record on an axis."""
    return FIELDS[axis](record) if axis in FIELDS else record.task.options.get(axis)


def text_on_axis(axis: str, value: AxisValue) -> str:
    """Write a value as on the command line; None in words."""
    return _WITHOUT.get(axis, "unknown") if value is None else value_text(value)
