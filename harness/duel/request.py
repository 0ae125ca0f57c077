"""What a duel is asked for, and the record with which it begins."""

import datetime
import os
import secrets
import sys

import msgspec

from harness.duel.record import DuelRecord
from harness.duel.workloads import Workload, differences
from harness.machine.description import describe_machine
from harness.machine.worker_variables import inherited_variables, missing_controls
from harness.runs.record import DatasetRecord, TaskRecord
from harness.spec.description import description_sha256


class DuelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to compare. The first workload is the reference."""

    workloads: list[Workload]
    dataset: DatasetRecord
    margin: float
    budget_seconds: float | None = None
    """No pair ends later. None: until all is decided or more pairs are hopeless, and at most 15 minutes."""
    quiet_environment: bool = True
    certify: bool = True
    seed: int = 0
    turns: int | None = None


def new_record(request: DuelRequest) -> DuelRecord:
    """The record of a duel that is about to begin."""
    reference = request.workloads[0]
    task = reference.task
    now = datetime.datetime.now(datetime.UTC)
    configurations = [workload.configuration for workload in request.workloads]
    names = "-".join(f"{configuration.backend}.{configuration.mode}" for configuration in configurations)
    replaced = reference.worker_variables(quiet=request.quiet_environment)
    return DuelRecord(
        id=f"{now:%Y%m%d-%H%M%S}-{task.name}-{names}-{secrets.token_hex(2)}",
        started_at=now.isoformat(timespec="seconds"),
        command=sys.argv[1:],
        task=TaskRecord(task.name, task.version, reference.options, description_sha256(task), task),
        dataset=msgspec.structs.replace(request.dataset),
        machine=describe_machine(),
        process_environment="quiet" if request.quiet_environment else "plain",
        seed=request.seed,
        margin=request.margin,
        turns=request.turns or 0,
        configurations=[],
        differences=differences(request.workloads),
        inherited_variables=inherited_variables(os.environ, replaced),
        missing_controls=missing_controls() if request.quiet_environment else [],
    )
