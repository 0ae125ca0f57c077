"""The certificates of all that is about to run, made ahead of it so that nothing is timed beside one."""

import time
from collections.abc import Iterable

from harness.cli.progress import RunDisplay
from harness.plugins import registry
from harness.plugins.configuration import Configuration
from harness.runs.execute import RunRequest
from harness.testing.certificate import Certificate
from harness.testing.certificate_cache import certificate
from harness.worker.examiner import Examiner

#: What takes longer was not in the cache; the user is told what the time was spent on.
_CACHED_SECONDS = 1.0


def side_of(request: RunRequest) -> Configuration:
    """Who is to be certified for a run."""
    plan = request.plan
    return Configuration(request.backend, plan.mode, plan.device, plan.threads, plan.precision)


def certify_all(
    requests: Iterable[RunRequest], display: RunDisplay
) -> dict[tuple[Configuration, str], Certificate]:
    """The certificate of each side and task, with one worker a side."""
    tasks: dict[Configuration, dict[str, None]] = {}
    limits: dict[Configuration, float | None] = {}
    for request in requests:
        side = side_of(request)
        tasks.setdefault(side, {})[request.plan.task.name] = None
        limits[side] = request.timeout_seconds
    certificates = {}
    for side, names in tasks.items():
        with Examiner(side, limits[side]) as examiner:
            for name in names:
                certificates[side, name] = _certify(examiner, name, display)
    return certificates


def _certify(examiner: Examiner, task: str, display: RunDisplay) -> Certificate:
    what = f"{examiner.configuration.label} on {task}"
    display.describe(f"certifying {what}")
    start = time.perf_counter()
    made = certificate(examiner, registry.task(task))
    seconds = time.perf_counter() - start
    if seconds > _CACHED_SECONDS:
        outcome = "certified" if made.certified else "not certified"
        display.say(f"{what}: {outcome} in {seconds:.0f} s")
    return made
