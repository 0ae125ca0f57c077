"""The certificates of all that is about to run, made ahead of it so that nothing is timed beside one."""

import functools
import time
from collections.abc import Iterable

from harness import plugins
from harness.certificate_cache import certificate
from harness.certify import Examiner, Side, examine
from harness.cli.progress import RunDisplay
from harness.record import Certificate
from harness.run import RunRequest
from harness.spec import TaskDefinition

#: What takes longer was not in the cache; the user is told what the time was spent on.
_CACHED_SECONDS = 1.0


def side_of(request: RunRequest) -> Side:
    """Who is to be certified for a run."""
    plan = request.plan
    return Side(request.backend, plan.mode, plan.device, plan.threads, plan.precision)


def certify_all(requests: Iterable[RunRequest], display: RunDisplay) -> dict[tuple[Side, str], Certificate]:
    """The certificate of each side and task, with few workers a side."""
    tasks: dict[Side, dict[str, None]] = {}
    limits: dict[Side, float | None] = {}
    for request in requests:
        side = side_of(request)
        tasks.setdefault(side, {})[request.plan.task.name] = None
        limits[side] = request.timeout_seconds
    certificates: dict[tuple[Side, str], Certificate] = {}
    for side, names in tasks.items():
        definitions = [plugins.task(name) for name in names]
        made = examine(side, definitions, functools.partial(_certify, display), limits[side])
        certificates |= {(side, name): proof for name, proof in zip(names, made, strict=True)}
    return certificates


def _certify(display: RunDisplay, examiner: Examiner, definition: TaskDefinition) -> Certificate:
    what = f"{examiner.side.label} on {definition.name}"
    display.describe(f"certifying {what}")
    start = time.perf_counter()
    made = certificate(examiner, definition)
    seconds = time.perf_counter() - start
    if seconds > _CACHED_SECONDS:
        outcome = "certified" if made.certified else "not certified"
        display.say(f"{what}: {outcome} in {seconds:.0f} s")
    return made
