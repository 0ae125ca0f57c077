"""What the result of a run depends on, known before it starts and without importing a framework.

Two runs whose ingredients and data are equal are the same run: one record of it is enough. The fingerprint
of the data is not among them, because some data sets must be read in full for it; the record has it.
"""

import functools
import hashlib
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import msgspec
from packaging.requirements import Requirement

from harness.core.machine.cpus import WORKER_CPUS
from harness.core.machine.description import Machine, describe_machine
from harness.core.machine.worker_variables import (
    inherited_variables,
    variables_text,
    worker_variables,
)
from harness.core.plugins import registry
from harness.core.plugins.definition import define_task, resized
from harness.core.plugins.options import (
    Value,
    options_with,
    parse_alternatives,
)
from harness.core.plugins.sources import sources_of, sources_of_models
from harness.core.runs.record import Record
from harness.core.runs.request import (
    RunRequest,
    loaded,
    summary_of,
)
from harness.errors import HarnessError, UsageError
from harness.spec.description import description_sha256
from harness.spec.task import Task, TaskDefinition

_DATA = "data fingerprint"


def ingredients_of(request: RunRequest, *, certify: bool, machine: Machine | None = None) -> dict[str, str]:
    """What the result depends on, by name. ``machine`` is where it will run; default: this one.

    The names are for people; a run of the same identity has the same value under each.
    """
    asked, task = request.configuration, request.task
    machine = machine or _this_machine()
    variables = worker_variables(asked.threads, asked.device, os.environ)
    inherited = inherited_variables(os.environ, variables)
    variables.pop(WORKER_CPUS, None)  # which of equal CPUs is not recorded as a difference
    return {
        "task": f"{task.name} {task.version}",
        "task description": description_sha256(task),
        "task options": _json(request.options),
        "data set": request.dataset.name,
        "backend": asked.backend,
        "mode": asked.mode,
        **_program(asked.backend),
        **_models(task),
        "precision": asked.precision,
        "device": asked.device,
        "threads": str(asked.threads),
        "seed": str(request.seed),
        "epochs": str(task.epochs),
        "maximum of steps": str(request.max_steps),
        "evaluation": _json(request.evaluation),
        **({"stop": _json(request.stop)} if request.stop else {}),
        "certification": "yes" if certify else "no",
        "worker's variables": " ".join(f"{name}={value}" for name, value in sorted(variables.items())),
        "inherited variables": variables_text(inherited),
        "machine": f"{machine.host_text}: {machine.model_text}",
        "Python": machine.python,
        "harness": machine.harness,
    }


def differences(one: Record, other: Record) -> dict[str, tuple[str, str]]:
    """The ingredients in which two runs differ, with the value in each; empty for the same run."""
    ours, theirs = ({**record.identity, _DATA: record.dataset.fingerprint or ""} for record in (one, other))
    return {
        name: (ours.get(name, ""), theirs.get(name, ""))
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name, "") != theirs.get(name, "")
    }


@functools.cache
def data_fingerprint(dataset: str) -> str | None:
    """The fingerprint of a data set as it is now; reads it in full only where its summary has none.

    None where it cannot be read: then no recorded run is known to be of this data.
    """
    try:
        summary = summary_of(dataset)
        if summary is not None and summary.fingerprint:
            return summary.fingerprint
        return loaded(dataset).fingerprint
    except HarnessError:
        return None


@functools.cache
def _this_machine() -> Machine:
    return describe_machine()


@functools.cache
def _program(backend: str) -> dict[str, str]:
    """The versions of the framework and of the plugin, and a checksum of the plugin's source."""
    return {
        "framework": ", ".join(map(_version, registry.backend(backend).requires)),
        "plugin": registry.backend_distribution(backend) or "",
        "plugin's source": _sha256(sources_of(backend)),
    }


def _models(task: Task) -> dict[str, str]:
    """A checksum of the code of the user's own models, which the task's description only names."""
    sources = sources_of_models(task)
    return {"models' source": _sha256(sources)} if sources else {}


def _sha256(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _version(requirement: str) -> str:
    name = Requirement(requirement).name
    try:
        return f"{name} {metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return name


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


# The settings of a task in a matrix of runs: every combination of its options and batch sizes.

#: What varies in a matrix: names such as ``optimizer``, and their values in the order given.
Axes = dict[str, list[Value]]


class Setting(NamedTuple):
    """A task as it will be trained, with the value of each of its options.

    ``varied`` are the values of what has several in the matrix.
    """

    task: Task
    options: dict[str, Value]
    varied: dict[str, Value]


def settings(
    definition: TaskDefinition,
    assignments: Sequence[str],
    batch_sizes: Sequence[int] = (),
    epochs: int | None = None,
) -> list[Setting]:
    """Each combination of the options' values and the batch sizes; those given first change slowest.

    What takes all training data at once is planned once, whatever the batch sizes.

    Raises:
        UsageError: a value does not fit, options exclude each other, or there are batch sizes and no
            combination trains in batches.
    """
    axes = parse_alternatives(definition, assignments)
    several = {name for name, values in axes.items() if len(values) > 1}
    defined = [_define(definition, chosen, several) for chosen in _combinations(axes)]
    in_batches = any(setting.task.batch_size for setting in defined)
    sized = []
    for setting in defined:
        applies = setting.task.batch_size is not None or not in_batches
        for size in batch_sizes if applies and batch_sizes else [None]:
            varied = setting.varied | ({"batch_size": size} if size and len(batch_sizes) > 1 else {})
            sized.append(setting._replace(task=resized(setting.task, size, epochs), varied=varied))
    return sized


def _combinations(axes: Axes) -> list[dict[str, Value]]:
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _define(definition: TaskDefinition, chosen: Mapping[str, Value], several: set[str]) -> Setting:
    options = options_with(definition, chosen)
    varied = {name: value for name, value in chosen.items() if name in several}
    try:
        task = define_task(definition, options)
    except UsageError as error:
        if not varied:
            raise
        combination = " ".join(f"--set {name}={value_text(value)}" for name, value in varied.items())
        raise UsageError(
            f"{combination}: {str(error).removeprefix('--set: ')} "
            "Run the values that do not go together in calls of their own."
        ) from error
    return Setting(task, msgspec.structs.asdict(options), varied)


def value_text(value: Value) -> str:
    """A value as on the command line: ``true``, ``0.01``, ``adam``."""
    return str(value).lower() if isinstance(value, bool) else str(value)
