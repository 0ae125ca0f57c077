"""What was trained: the settings of a run that differ from the defaults of its task, and its data."""

import functools
from collections.abc import Container, Iterable
from typing import NamedTuple

import msgspec

from harness.analysis.axes import AxisValue
from harness.errors import HarnessError
from harness.plugins import registry
from harness.plugins.definition import define_task
from harness.plugins.options import options_with
from harness.runs.record import Record
from harness.spec.task import Task, TaskDefinition


class Setting(NamedTuple):
    """An option or a field of the task with its value, and the task's default."""

    name: str
    value: AxisValue
    default: AxisValue


class Trained(NamedTuple):
    """What a group of runs trained.

    ``settings`` are those that differ from the defaults, which ``knows_defaults`` says are known; where the
    task is not installed, or in another version, they are all of its options, without their defaults.
    """

    settings: tuple[Setting, ...]
    knows_defaults: bool
    dataset: str
    origin: str | None
    stands_in_for: str | None
    reason: str | None


def trained(record: Record, apart_from: Container[str] = ()) -> Trained:
    """What a run trained; settings named in ``apart_from`` are left out."""
    data = record.dataset
    defaults = _defaults(record.task.name, record.task.version, msgspec.json.encode(record.task.options))
    if defaults is None:
        found: Iterable[Setting] = (Setting(name, value, None) for name, value in record.task.options.items())
    else:
        options, task = defaults
        values = record.task.options
        found = [Setting(name, value, options.get(name)) for name, value in values.items()]
        found += [
            Setting("batch_size", record.task.description.batch_size, task.batch_size),
            Setting("epochs", record.epochs_asked, task.epochs),
        ]
        found = (setting for setting in found if setting.value != setting.default)
    settings = tuple(setting for setting in found if setting.name not in apart_from)
    return Trained(settings, defaults is not None, data.name, data.origin, data.stands_in_for, data.reason)


@functools.lru_cache(maxsize=1024)  # many records have few settings
def _defaults(name: str, version: int, options: bytes) -> tuple[dict[str, AxisValue], Task] | None:
    """The defaults of the options, and the task with these options; None where they are not known."""
    try:
        definition = registry.task(name)
        default = define_task(definition, definition.options())
        task = define_task(definition, options_with(definition, msgspec.json.decode(options)))
    except (HarnessError, msgspec.ValidationError):
        return None
    return (_values(definition), task) if default.version == version else None


def _values(definition: TaskDefinition) -> dict[str, AxisValue]:
    values: dict[str, AxisValue] = msgspec.structs.asdict(definition.options())
    return values
