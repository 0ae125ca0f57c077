"""Where the time of a step goes in each side of a comparison: one more process of each, under profilers."""

from collections.abc import Callable, Sequence

import msgspec

from harness.duel.own_steps import OwnStep
from harness.duel.pairs import Program
from harness.duel.workloads import Workload
from harness.errors import HarnessError
from harness.steps import task_step
from harness.steps.findings import Profiles, StepProfile
from harness.steps.process import Called, FirstCalls, Profile, Profiled, StepTarget

#: A profile is of so many calls: those of about this time, and at most so many.
_PROFILE_SECONDS, _PROFILED_CALLS = 2.0, 200
#: Calls before it; the first may compile.
_WARM_UP_CALLS = 5


def profile_sides(workloads: Sequence[Program], dataset: str, say: Callable[[str], None]) -> Profiles:
    """Profile one process of each workload, whose times are used for nothing else."""
    try:
        sides = []
        for workload in workloads:
            say(f"profiling {workload.label}")
            step = workload if isinstance(workload, OwnStep) else _task_step(workload, dataset)
            sides.append(_profiled(step))
        return Profiles(sides)
    except HarnessError as error:
        return Profiles(fault=str(error))


def _profiled(step: OwnStep) -> list[StepProfile]:
    with step.made() as (session, _):
        first = session.call(FirstCalls(_WARM_UP_CALLS, _PROFILE_SECONDS), Called)
        calls = int(_PROFILE_SECONDS / max(min(first.seconds), 1e-9))
        return session.call(Profile(min(max(calls, 1), _PROFILED_CALLS)), Profiled).profiles


def _task_step(workload: Workload, dataset: str) -> OwnStep:
    """The step of a task as one of the user's own."""
    plan = msgspec.to_builtins(workload.plan)
    arguments = {"backend": workload.configuration.backend, "plan": plan, "dataset": dataset}
    target = StepTarget(target=f"{task_step.__file__}:make_step", arguments=arguments, seed=None)
    return OwnStep(label=workload.label, configuration=workload.configuration, target=target)
