"""What to run, and the record that a run begins with."""

import datetime
import os
import secrets
import sys

import msgspec

from harness.certify.certificate import Certificate
from harness.machine.description import describe_machine
from harness.machine.processes import ProcessMark, this_process
from harness.machine.worker_variables import inherited_variables, worker_variables
from harness.plugins.options import Value
from harness.runs.record import DatasetRecord, Evaluation, Record, TaskRecord
from harness.spec.backend import Plan
from harness.spec.description import description_sha256


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A run to execute. ``options`` are the values that defined the plan's task, kept for the record."""

    backend: str
    plan: Plan
    options: dict[str, Value]
    dataset: DatasetRecord
    certificate: Certificate | None = None
    max_steps: int | None = None
    evaluation: Evaluation = Evaluation()
    timeout_seconds: float | None = None
    variant: str = ""
    """The variant of a study, or what sets the run apart in a matrix; for progress alone."""
    identity: dict[str, str] = {}
    """See :func:`harness.runs.identity.ingredients_of`."""
    process: ProcessMark | None = None
    """The process that writes the record; default: this one."""


def new_record(request: RunRequest) -> Record:
    """The record of a run that is about to start."""
    plan = request.plan
    now = datetime.datetime.now(datetime.UTC)
    task = TaskRecord(
        plan.task.name,
        plan.task.version,
        request.options,
        description_sha256(plan.task),
        plan.task,
    )
    label = f"{plan.task.name}-{request.backend}-{plan.mode}-s{plan.seed}"
    networks = plan.task.networks.values()
    variables = worker_variables(plan.threads, plan.device, os.environ)
    return Record(
        id=f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}-{label}-{secrets.token_hex(2)}",
        started_at=now.isoformat(timespec="seconds"),
        command=sys.argv[1:],
        task=task,
        dataset=msgspec.structs.replace(request.dataset),
        backend=request.backend,
        mode=plan.mode,
        machine=describe_machine(),
        worker_variables=variables,
        inherited_variables=inherited_variables(os.environ, variables),
        device_asked=plan.device,
        precision=plan.precision,
        threads=plan.threads,
        seed=plan.seed,
        batch_size=plan.task.batch_size or 0,  # all samples: known once the data is loaded
        epochs_asked=plan.task.epochs,
        max_steps=request.max_steps,
        evaluation=request.evaluation,
        parameters=sum(network.parameter_count() for network in networks),
        certificate=request.certificate,
        identity=request.identity,
        process=request.process or this_process(),
        forward_flops_per_sample=sum(network.forward_flops() for network in networks),
    )
