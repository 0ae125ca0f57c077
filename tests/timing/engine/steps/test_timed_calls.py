"""The last calls of timed blocks: compared with base, and never judged by what does not repeat."""

import pytest

from harness.core.plugins.configuration import Configuration
from harness.timing.engine.steps.findings import WorkComparison, comparison_text
from harness.timing.engine.steps.own import OwnStep, TimedStep
from harness.timing.engine.steps.process import StepTarget
from harness.timing.engine.steps.timed_calls import TimedCalls

STEPS = """
import random
def trained():
    value = [random.random()]
    def step():
        value[0] += 0.1 * (random.random() - value[0])
        return {"loss": value[0], "calls": 1}
    return step
def stored():
    step, known = trained(), []
    def head():
        if len(known) < 25:
            known.append(step())
        return known[-1]
    return head
def unsteady():
    step, made = trained(), [0]
    def head():
        made[0] += 1
        if made[0] > 30:
            random.seed()
        return step()
    return head
def large(copies=True):
    import numpy as np
    values = np.zeros(100_000)
    def step():
        values[:] += random.random()
        return values.copy() if copies else values
    return step
"""


@pytest.fixture
def workload(tmp_path):
    (tmp_path / "bench.py").write_text(STEPS)

    def make(name, **arguments):
        target = StepTarget(target=f"bench.py:{name}", arguments=arguments, folder=str(tmp_path))
        return OwnStep(label=name, configuration=Configuration("", "", "cpu", 1), target=target)

    return make


def returned(step, blocks=4, steps=20):
    """What the last calls of some blocks of a process returned."""
    running = TimedStep(step, step.worker_variables(quiet=True), 60.0)
    try:
        running.begin("")
        running.await_build()
        running.make_first_step()
        for _ in range(blocks):
            running.block(steps)
        return running.returned
    finally:
        running.end()


def judged(base, head, outcome="same", pairs=2):
    """The comparison after some pairs."""
    timed, work = TimedCalls(), [WorkComparison(outcome=outcome, calls=20)]
    for _ in range(pairs):
        work = timed.compare(work, [returned(base), returned(head)])
    return work[0]


def test_equal_steps_are_equal_up_to_the_last_call(workload):
    found = judged(workload("trained"), workload("trained"), pairs=3)
    assert (found.outcome, found.late_compared, found.late_call) == ("same", 10, 81)
    assert comparison_text(found).endswith("10 timed calls compared, up to call 81")


def test_work_that_is_skipped_after_the_first_calls_differs(workload):
    found = judged(workload("trained"), workload("stored"))
    assert (found.outcome, found.difference.name, found.difference.call) == ("differs", "loss", 41)
    assert "(call 41: " in comparison_text(found)
    assert judged(workload("trained"), workload("stored"), pairs=1).difference is None


@pytest.mark.parametrize(
    "names", [("unsteady", "unsteady"), ("unsteady", "trained"), ("trained", "unsteady")]
)
def test_nothing_is_judged_from_where_a_side_does_not_repeat_itself(workload, names):
    found = judged(*map(workload, names))
    assert (found.outcome, found.difference, found.late_call) == ("same", None, 21)


def test_a_large_array_that_is_written_again_is_compared(workload):
    found = judged(workload("large"), workload("large", copies=False))
    assert (found.outcome, found.late_compared) == ("same", 5)


def test_only_calls_after_equal_first_calls_are_judged(workload):
    found = judged(workload("trained"), workload("stored"), "not deterministic")
    assert (found.outcome, found.late_compared) == ("not deterministic", 0)
