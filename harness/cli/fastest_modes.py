"""Runs whose mode is ``best``, each in the mode that is fastest here."""

from pathlib import Path

import msgspec

from harness.cli.duel_display import ModeDisplay
from harness.duel.fastest_mode import FastestModes
from harness.duel.files import DUELS
from harness.duel.workloads import Workload
from harness.plugins.selection import BEST
from harness.runs.certification import configuration_of
from harness.runs.request import RunRequest


def in_fastest_modes(
    requests: list[RunRequest], results: Path, *, quiet: bool, certify: bool
) -> list[RunRequest]:
    """The requests with ``best`` resolved; one that then equals another is left out.

    Raises:
        HarnessError: no mode of a backend can be timed; says why.
    """
    if not any(request.plan.mode == BEST for request in requests):
        return requests
    display = ModeDisplay(quiet=quiet)
    modes = FastestModes(results / DUELS.folder, display, certify=certify)
    resolved: list[RunRequest] = []
    try:
        for request in requests:
            found = _resolved(request, modes)
            if found not in resolved:
                resolved.append(found)
    finally:
        display.stop()
    return resolved


def _resolved(request: RunRequest, modes: FastestModes) -> RunRequest:
    configuration, plan = configuration_of(request), request.plan
    workload = Workload(
        label=configuration.label, configuration=configuration, task=plan.task, options=request.options
    )
    found = modes.resolved(workload, request.dataset).configuration.mode
    return msgspec.structs.replace(request, plan=msgspec.structs.replace(plan, mode=found))
