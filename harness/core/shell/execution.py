"""The execution of planned runs with progress, for ``harness run`` and ``harness study``."""

from collections.abc import Sequence

from harness.core.runs.record import Record
from harness.core.runs.sharing import SharedRuns
from harness.core.runs.store import Store
from harness.core.shell.ending import INTERRUPTED
from harness.core.shell.executors import Executor
from harness.core.shell.printing import print_error_line
from harness.core.shell.runs_display import RunsDisplay
from harness.errors import HarnessError, UsageError


def run_sequence(
    shared: SharedRuns,
    store: Store,
    executor: Executor,
    *,
    quiet: bool,
    certify: bool,
    plan: str | None = None,
) -> list[Record]:
    """Have ``executor`` execute the remaining runs of a matrix, each after its certificate.

    ``plan`` describes these runs and is printed first; None for a part of a larger plan.
    """
    requests = [run.request for run in shared.left]
    observer = RunsDisplay(requests, quiet=quiet, on_nodes=executor.on_nodes, jobs=executor.jobs)
    with shared, observer as display:
        display.announce(plan, shared)
        return executor.execute(shared, store, display, certify=certify)


def conclude(executor: Executor, store: Store, records: Sequence[Record], *, quiet: bool) -> None:
    """End the runs of a command: the one that is drawn among ``records`` has failed if it is refuted."""
    if exit_code(records) != INTERRUPTED:
        executor.conclude(store, records, (lambda _line: None) if quiet else print_error_line)


def exit_code(records: Sequence[Record]) -> int:
    """Return 0 if all runs succeeded, 130 after an interrupt, 1 after a failure, 2 for unsupported work."""
    statuses = {record.status for record in records}
    if "interrupted" in statuses:
        return INTERRUPTED
    if statuses & {"failed", "diverged", "timeout"}:
        return HarnessError.exit_code
    return UsageError.exit_code if "unsupported" in statuses else 0
