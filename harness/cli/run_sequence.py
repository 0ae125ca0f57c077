"""Execution of planned runs with progress on standard error, for ``harness run`` and ``harness study``."""

import math
from collections.abc import Sequence

from harness.cli.progress import RunDisplay
from harness.runs.record import Record
from harness.runs.sequence import Certification, execute_all
from harness.runs.sharing import SharedRuns
from harness.runs.store import Store
from harness.tracking.tracker import Tracker

_RUN_FAILED = 1
_REFUSED = 2
_INTERRUPTED = 130


def run_sequence(
    shared: SharedRuns,
    store: Store,
    *,
    quiet: bool,
    certify: bool,
    plan: str = "",
    deadline: float = math.inf,
    trackers: Sequence[Tracker] = (),
) -> list[Record]:
    """Execute what is left of a matrix, each run after its certificate; see :mod:`harness.runs.sequence`.

    ``plan`` is printed first: what the runs are. ``trackers`` show them while they train.
    """
    requests = [run.request for run in shared.left]
    with shared, RunDisplay(requests, quiet=quiet, certify=certify) as display:
        if plan:
            display.say(plan)
        if shared.reused:
            display.say(f"{reuse_text(shared)} (harness run --fresh repeats them)")
        display.track(trackers, store.folder)
        display.stand_ins(request.dataset for request in requests)
        if not certify:
            return execute_all(shared, store, display, deadline)
        with Certification(requests, display) as certification:
            return execute_all(shared, store, display, deadline, certification)


def reuse_text(shared: SharedRuns) -> str:
    """``8 of 12 runs are already recorded``."""
    return f"{shared.reused} of {shared.total} runs are already recorded"


def exit_code(records: Sequence[Record]) -> int:
    """0 if all runs succeeded, 130 after an interrupt, 1 after a failure, 2 if work is unsupported."""
    statuses = {record.status for record in records}
    if "interrupted" in statuses:
        return _INTERRUPTED
    if statuses & {"failed", "diverged", "timeout"}:
        return _RUN_FAILED
    return _REFUSED if "unsupported" in statuses else 0
