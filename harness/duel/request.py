"""What a duel is asked for, the record with which it begins, and budgets that are too short for it."""

import datetime
import os
import secrets
import sys

import msgspec

from harness.duel.lengths import FEWEST_TURNS, SHORTEST_BLOCK_SECONDS
from harness.duel.record import DuelRecord
from harness.duel.verdict import fewest_pairs_for_difference
from harness.duel.workloads import Workload, differences
from harness.errors import UsageError
from harness.machine.description import describe_machine
from harness.machine.worker_variables import inherited_variables, missing_controls
from harness.runs.record import DatasetRecord, TaskRecord
from harness.spec.description import description_sha256
from harness.stats.settling import FEWEST_SECONDS


class DuelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to compare. The first workload is the reference."""

    workloads: list[Workload]
    dataset: DatasetRecord
    margin: float
    budget_seconds: float
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


def refuse_hopeless_budget(request: DuelRequest) -> None:
    """Check, before anything is started, that the blocks alone fit into the budget.

    Raises:
        UsageError: they do not.
    """
    count, budget = len(request.workloads), request.budget_seconds
    fewest = fewest_pairs_for_difference(count - 1)
    turns = request.turns or FEWEST_TURNS
    pair_seconds = count * (FEWEST_SECONDS + turns * SHORTEST_BLOCK_SECONDS)
    if fewest * pair_seconds > budget:
        raise UsageError(
            f"--budget {budget:g}s is too short to find any difference: that takes {fewest} pairs of at "
            f"least {pair_seconds:.1f} s, plus the start of the processes. Set several times "
            f"{fewest * pair_seconds:.0f}s."
        )


def refuse_short_budget(request: DuelRequest, pair_seconds: float, spent_seconds: float) -> None:
    """Check, once the time of a pair is known, that enough pairs fit into the rest of the budget.

    Raises:
        UsageError: they do not.
    """
    fewest = fewest_pairs_for_difference(len(request.workloads) - 1)
    needed = spent_seconds + fewest * pair_seconds
    if needed > request.budget_seconds:
        raise UsageError(
            f"--budget {request.budget_seconds:g}s is too short to find any difference: that takes {fewest} "
            f"pairs of about {pair_seconds:.0f} s here. Set --budget {needed * 1.2:.0f}s."
        )
