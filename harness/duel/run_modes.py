"""Runs whose mode is ``best``, each in the mode that is fastest on this machine."""

import msgspec

from harness.duel.fastest_mode import FastestModes
from harness.duel.workloads import Workload
from harness.plugins.selection import BEST
from harness.runs.certification import configuration_of
from harness.runs.request import RunRequest


def asks_for_fastest(requests: list[RunRequest]) -> bool:
    """Whether a run asks for the fastest mode."""
    return any(request.plan.mode == BEST for request in requests)


def in_fastest_modes(requests: list[RunRequest], modes: FastestModes) -> list[RunRequest]:
    """The requests with ``best`` resolved; one that then equals another is left out.

    Raises:
        HarnessError: no mode of a backend can be timed; says why.
    """
    resolved: list[RunRequest] = []
    for request in requests:
        found = _resolved(request, modes)
        if found not in resolved:
            resolved.append(found)
    return resolved


def _resolved(request: RunRequest, modes: FastestModes) -> RunRequest:
    configuration, plan = configuration_of(request), request.plan
    workload = Workload(
        label=configuration.label, configuration=configuration, task=plan.task, options=request.options
    )
    found = modes.resolved(workload, request.dataset).configuration.mode
    return msgspec.structs.replace(request, plan=msgspec.structs.replace(plan, mode=found))
