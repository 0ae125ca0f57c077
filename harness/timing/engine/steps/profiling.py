"""Profiling: more processes of each side of a comparison show where the time of a step goes."""

import contextlib
import time
from collections.abc import Callable, Sequence

import msgspec

from harness.errors import HarnessError
from harness.timing.engine.steps import task_step
from harness.timing.engine.steps.own import OwnStep
from harness.timing.engine.steps.process import (
    Called,
    Profile,
    Profiled,
    SingleCalls,
    StepSession,
    StepTarget,
)
from harness.timing.engine.steps.profiles import Profiles, StepProfile, merged
from harness.timing.engine.workloads import Workload

#: Profiles of each side, in alternation: their spread is the noise. With slow imports there are fewer: from
#: the third on none begins after this time.
_REPETITIONS, _FEWEST_REPETITIONS, _MOST_SECONDS = 5, 3, 60.0
#: A profile is of so many calls: those of about this time, and at most so many.
_PROFILE_SECONDS, _PROFILED_CALLS = 0.5, 50
#: Calls before it; the first may compile.
_WARM_UP_CALLS = 5


def profile_sides(
    workloads: Sequence[Workload | OwnStep], dataset: str, say: Callable[[str], None]
) -> Profiles:
    """Profile fresh processes of each workload in alternation; their times are used for nothing else."""
    try:
        steps = [_task_step(each, dataset) if isinstance(each, Workload) else each for each in workloads]
        repetitions: list[list[list[StepProfile]]] = []
        calls, start = 0, time.monotonic()
        for number in range(_REPETITIONS):
            if number >= _FEWEST_REPETITIONS and time.monotonic() - start > _MOST_SECONDS:
                break
            say(f"profiling {' and '.join(step.label for step in steps)}: {number + 1} of {_REPETITIONS}")
            calls, profiled = _profiled(steps, calls, backwards=number % 2 == 1)
            repetitions.append(profiled)
        return Profiles(merged(repetitions))
    except HarnessError as error:
        return Profiles(fault=str(error))


def _profiled(
    steps: Sequence[OwnStep], calls: int, *, backwards: bool
) -> tuple[int, list[list[StepProfile]]]:
    """Profile a process of each step, one of which runs at a time; return the calls, and the profiles.

    Every profile is of as many ``calls``, so that events at every so many calls weigh alike. 0: as many as
    the slowest step makes in the time of a profile.
    """
    order = list(range(len(steps)))[:: -1 if backwards else 1]
    sessions: dict[int, StepSession] = {}
    profiles: dict[int, list[StepProfile]] = {}
    slowest = 1e-9
    with contextlib.ExitStack() as stack:
        for index in order:
            session, _ = stack.enter_context(steps[index].made())
            first = session.call(SingleCalls(_WARM_UP_CALLS, _PROFILE_SECONDS), Called)
            slowest = max(slowest, min(first.seconds))
            session.pause()
            sessions[index] = session
        calls = calls or min(max(int(_PROFILE_SECONDS / slowest), 1), _PROFILED_CALLS)
        for index in order:
            sessions[index].resume()
            profiles[index] = sessions[index].call(Profile(calls), Profiled).profiles
            sessions[index].pause()
    return calls, [profiles[index] for index in range(len(steps))]


def _task_step(workload: Workload, dataset: str) -> OwnStep:
    plan = msgspec.to_builtins(workload.plan)
    arguments = {"backend": workload.configuration.backend, "plan": plan, "dataset": dataset}
    file = f"{task_step.__file__}:make_step"
    target = StepTarget(target=file, arguments=arguments, installed_first=True, seed=None)
    return OwnStep(label=workload.label, configuration=workload.configuration, target=target)
