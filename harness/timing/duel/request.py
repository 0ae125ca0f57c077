"""The request of a duel, and the record with which it begins."""

import os
from collections.abc import Sequence

import msgspec

from harness.core.documents.kinds import stamp
from harness.core.machine.description import describe_machine
from harness.core.machine.worker_variables import inherited_variables, missing_controls
from harness.core.runs.record import DatasetRecord, TaskRecord
from harness.spec.description import description_sha256
from harness.timing.duel.record import DuelRecord
from harness.timing.engine.pairs import Program, steps_of
from harness.timing.engine.steps.equal_work import WorkRequest
from harness.timing.engine.steps.own import OwnStep, step_record
from harness.timing.engine.workloads import differences


class DuelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The work to compare: configurations that train one task, or steps. The first is the reference."""

    workloads: Sequence[Program]
    dataset: DatasetRecord = msgspec.field(default_factory=lambda: DatasetRecord(""))
    """The data set of a task."""
    work: WorkRequest = WorkRequest()
    """The comparison of the values of steps."""
    margin: float
    budget_seconds: float | None = None
    """The time after which no pair ends. None: until all is decided, and at most 15 minutes."""
    quiet_environment: bool = True
    certify: bool = True
    """Certify the configurations of a task."""
    turns: int | None = None
    max_steps: int | None = None
    """The most steps of the training for which the configurations are compared as a whole."""
    profile: bool = False
    command: list[str] = []
    """The command line that asked for the duel."""


def new_record(request: DuelRequest) -> DuelRecord:
    """Return the record of a duel that is about to begin."""
    reference, quiet = request.workloads[0], request.quiet_environment
    if isinstance(reference, OwnStep):
        identifier, started_at = stamp(reference.target.short_name)
    else:
        ran = [workload.configuration for workload in request.workloads]
        names = "-".join(f"{configuration.backend}.{configuration.mode}" for configuration in ran)
        identifier, started_at = stamp(reference.task.name, names)
    replaced = reference.worker_variables(quiet=quiet)
    record = DuelRecord(
        id=identifier,
        started_at=started_at,
        command=request.command,
        machine=describe_machine(),
        process_environment="quiet" if quiet else "plain",
        seed=0,
        margin=request.margin,
        turns=request.turns or 0,
        max_steps=request.max_steps,
        configurations=[],
        differences=differences(request.workloads),
        inherited_variables=inherited_variables(os.environ, replaced),
        missing_controls=missing_controls() if quiet else [],
    )
    if isinstance(reference, OwnStep):
        record.step, record.seed = step_record(steps_of(request.workloads)), reference.target.seed or 0
    else:
        task = reference.task
        record.task = TaskRecord(task.name, task.version, reference.options, description_sha256(task), task)
        record.dataset, record.seed = msgspec.structs.replace(request.dataset), reference.seed
    return record
