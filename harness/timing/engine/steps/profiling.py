"""Profiling: one more process of each side of a comparison shows where the time of a step goes."""

from collections.abc import Callable, Sequence

import msgspec

from harness.errors import HarnessError
from harness.timing.engine.steps import task_step
from harness.timing.engine.steps.own import OwnStep
from harness.timing.engine.steps.process import Called, Profile, Profiled, SingleCalls, StepTarget
from harness.timing.engine.steps.profiles import Profiles
from harness.timing.engine.workloads import Workload

#: A profile is of so many calls: those of about this time, and at most so many.
_PROFILE_SECONDS, _PROFILED_CALLS = 2.0, 200
#: Calls before it; the first may compile.
_WARM_UP_CALLS = 5


def profile_sides(
    workloads: Sequence[Workload | OwnStep], dataset: str, say: Callable[[str], None]
) -> Profiles:
    """Profile one process of each workload; its times are used for nothing else."""
    try:
        sides = []
        for workload in workloads:
            say(f"profiling {workload.label}")
            step = _task_step(workload, dataset) if isinstance(workload, Workload) else workload
            with step.made() as (session, _):
                first = session.call(SingleCalls(_WARM_UP_CALLS, _PROFILE_SECONDS), Called)
                calls = int(_PROFILE_SECONDS / max(min(first.seconds), 1e-9))
                profile = Profile(min(max(calls, 1), _PROFILED_CALLS))
                sides.append(session.call(profile, Profiled).profiles)
        return Profiles(sides)
    except HarnessError as error:
        return Profiles(fault=str(error))


def _task_step(workload: Workload, dataset: str) -> OwnStep:
    plan = msgspec.to_builtins(workload.plan)
    arguments = {"backend": workload.configuration.backend, "plan": plan, "dataset": dataset}
    target = StepTarget(target=f"{task_step.__file__}:make_step", arguments=arguments, seed=None)
    return OwnStep(label=workload.label, configuration=workload.configuration, target=target)
