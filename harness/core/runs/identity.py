"""The identity of a run: all that its result depends on, known before it starts, without any framework.

Two runs with equal ingredients and equal data are the same run: one record is enough. The fingerprint of the
data is not an ingredient, because some data sets must be read in full to compute it; the record has it.
"""

import functools
import hashlib
import os
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import msgspec
from packaging.requirements import Requirement

from harness.core.machine.cpus import WORKER_CPUS
from harness.core.machine.description import Machine, describe_machine
from harness.core.machine.files import without_home
from harness.core.machine.worker_variables import inherited_variables, variables_text, worker_variables
from harness.core.plugins import registry
from harness.core.plugins.sources import sources_of, sources_of_models
from harness.core.runs.record import Record
from harness.core.runs.request import RunRequest, loaded, summary_of
from harness.errors import HarnessError
from harness.spec.description import description_sha256
from harness.spec.task import Task

_DATA = "data fingerprint"


def ingredients_of(request: RunRequest, *, certify: bool, machine: Machine | None = None) -> dict[str, str]:
    """Return all that the result of a run depends on, by names for people.

    ``machine`` will execute the run; default: this machine. Runs of the same identity have equal ingredients.
    """
    asked, task = request.configuration, request.task
    machine = machine or _this_machine()
    variables = worker_variables(asked.threads, asked.device, os.environ)
    inherited = inherited_variables(os.environ, variables)
    variables.pop(WORKER_CPUS, None)  # the choice among equal CPUs is no difference
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
        **({} if request.judges_times else {"times": "not judged"}),
        "worker's variables": " ".join(f"{name}={value}" for name, value in sorted(variables.items())),
        "inherited variables": without_home(variables_text(inherited)),
        "machine": f"{machine.host or ''}: {machine.model_text}",
        "Python": machine.python,
        "harness": machine.harness,
    }


def differences(one: Record, other: Record) -> dict[str, tuple[str, str]]:
    """Return the ingredients in which two runs differ, with both values; empty for the same run."""
    ours, theirs = ({**record.identity, _DATA: record.dataset.fingerprint or ""} for record in (one, other))
    return {
        name: (ours.get(name, ""), theirs.get(name, ""))
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name, "") != theirs.get(name, "")
    }


@functools.cache
def data_fingerprint(dataset: str) -> str | None:
    """Return the present fingerprint of a data set; read the data in full only if their summary has none.

    None if the data cannot be read: then no recorded run is known to have used them.
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
    """Return the versions of the framework and of the plugin, and a checksum of the plugin's source."""
    return {
        "framework": ", ".join(map(_version, registry.backend(backend).requires)),
        "plugin": registry.backend_distribution(backend) or "",
        "plugin's source": _sha256(sources_of(backend)),
    }


def _models(task: Task) -> dict[str, str]:
    """Return a checksum of the code of the user's own models, which the task's description only names."""
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
