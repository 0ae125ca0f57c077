"""What was trained: the settings of a run that differ from the defaults of its task, and its data."""

import functools
from collections.abc import Container, Mapping
from typing import NamedTuple

import msgspec

from harness.core.documents.numbers import listed
from harness.core.models.task_file import training_defaults
from harness.core.plugins import registry
from harness.core.plugins.definition import define_task
from harness.core.plugins.options import options_with
from harness.core.runs.fields import AxisValue, text_on_axis
from harness.core.runs.own_models import own_model
from harness.core.runs.record import DatasetRecord, Record
from harness.errors import HarnessError
from harness.learning.runs.grouping import RunGroup
from harness.spec.task import Task


class Defaults(NamedTuple):
    """The defaults of a task: its options, its first data set, and the task as given options define it."""

    options: dict[str, AxisValue]
    dataset: str
    task: Task


def defaults_of(record: Record) -> Defaults | None:
    """Return the defaults of a record's task; None where it is not installed, or in another version."""
    return _defaults(record.task.name, record.task.version, msgspec.json.encode(record.task.options))


@functools.lru_cache(maxsize=1024)  # many records have few settings
def _defaults(name: str, version: int, given: bytes) -> Defaults | None:
    try:
        definition = registry.task(name)
        default = define_task(definition, definition.options())
        task = define_task(definition, options_with(definition, msgspec.json.decode(given)))
    except (HarnessError, msgspec.ValidationError):
        return None
    options: dict[str, AxisValue] = msgspec.structs.asdict(definition.options())
    return Defaults(options, definition.datasets[0], task) if default.version == version else None


def settings_of(record: Record, apart_from: Container[str] = ()) -> dict[str, tuple[AxisValue, AxisValue]]:
    """Return the settings that differ from the defaults, each with its default; None for an unknown one.

    Those of which no default is known are among them.
    """
    defaults = defaults_of(record)
    known = _training_defaults(record) if defaults is None else defaults.options
    found: dict[str, tuple[AxisValue, AxisValue]] = {
        name: (value, known.get(name)) for name, value in record.task.options.items()
    }
    if defaults is not None:
        found["batch_size"] = record.task.description.batch_size, defaults.task.batch_size
        found["epochs"] = record.epochs_asked, defaults.task.epochs
    return {name: each for name, each in found.items() if each[0] != each[1] and name not in apart_from}


def _training_defaults(record: Record) -> Mapping[str, AxisValue]:
    """Return the defaults of the training of a user's own model, whose task is written for each command."""
    return training_defaults(record.task.description.objective) if own_model(record) else {}


def trained_text(group: RunGroup, *, brief: bool = False) -> str:
    """State what a group trained: settings that differ from the task's defaults, apart from axes; the data.

    ``brief``: nothing about data that is the task's own.
    """
    record, task = group.record, group.conditions.task
    found = settings_of(record, group.axes)
    settings = [_setting(name, value, default) for name, (value, default) in found.items()]
    if defaults_of(record) is not None or own_model(record):
        rest = f"; everything else is the default of {task}" if settings else ""
        text = f"Trained with {listed(settings)}{rest}." if settings else ""
    else:
        options = f"with {listed(settings)}" if settings else "without options"
        text = f"Trained {options}; the defaults of {task} are not known here."
    data = "" if brief and not record.dataset.stands_in_for else _data(record.dataset)
    return " ".join(filter(None, [text, data]))


def _setting(name: str, value: AxisValue, default: AxisValue) -> str:
    """Write ``epochs=150 (default 167)``."""
    text = f"{name}={text_on_axis(name, value)}"
    return text if default is None else f"{text} (default {text_on_axis(name, default)})"


def _data(data: DatasetRecord) -> str:
    """Name the data set, its origin, and the data that it stands in for."""
    origin = f": {data.origin}" if data.origin else ""
    stands = f" It stands in for {data.stands_in_for}: {data.reason}." if data.stands_in_for else ""
    return f"Data {data.name}{origin}.{stands}"
