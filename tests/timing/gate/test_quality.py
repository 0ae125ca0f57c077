"""Whether the first steps of head are those of base: made-up losses, real descriptions of tasks."""

import msgspec
import pytest
from support.tasks import defined
from support.workloads import workload

from harness.timing.gate.first_steps import judge_first_steps, task_change
from harness.timing.gate.reasons import Reason
from harness.timing.gate.training_worker import FirstSteps

SAME = [FirstSteps("float64", [[1.0], [0.9]], {"accuracy": 0.5}), FirstSteps("float32", [[1.0]], {})]


def of_mlp(label, options=(), **changes):
    task = msgspec.structs.replace(defined(), **changes)
    return msgspec.structs.replace(workload(label, task=task), options=dict(options))


@pytest.mark.parametrize(
    ("base", "head", "changes", "change"),
    [
        ([("width", 2)], [("width", 2), ("smoothing", 0.0)], {}, None),  # base did not have the option yet
        ([("width", 2)], [("width", 4)], {}, "width 4 instead of 2"),
        ([], [], {"epochs": 99}, "epochs"),
        ([], [], {"epochs": 99, "version": 7}, "version, epochs"),
    ],
)
def test_tasks_differ_in_options_or_else_in_fields(base, head, changes, change):
    found = task_change(of_mlp("base", base), of_mlp("head", head, **changes))
    assert (found and found.text) == (change and f"head trains another task: {change}")


def only_float32(*losses, loss=0.5, accuracy=0.5, data=""):
    return [FirstSteps("float32", [*losses], {"loss": loss, "accuracy": accuracy}, data)]


CHANGE = Reason(kind="task changed", text="another task")
LATER = "in float32 the loss of step 2 is 1.1 in head, 1.0 in base (relative deviation 9.1e-02)"
LOST = "in float32 the loss of step 1 is not finite in head, 1.0 in base"
SCORE = (
    "all losses agree, but after 1 steps the validation loss is 0.51 in head, 0.5 in base: evaluation differs"
)
COUNT = "in float32 a training step returns another number of losses in head than in base"
NOT_FINITE = "in float32 no loss is finite from step 2 on, so nothing was compared"
MEMORY = "memory ran out in float64, so losses in it were not compared"
A, B = "a" * 12, "b" * 12


@pytest.mark.parametrize(
    ("base", "head", "change", "verdict", "found"),
    [
        (SAME, SAME, None, "PASS", []),
        (SAME, SAME, CHANGE, "FAIL", [CHANGE.text]),  # though the first steps agree
        (only_float32([1.0], [1.0]), only_float32([1.0], [1.1]), CHANGE, "FAIL", [LATER, CHANGE.text]),
        (only_float32([1.0]), only_float32([None]), None, "FAIL", [LOST]),
        # One sample that is classified differently is rounding; another loss is not.
        (only_float32([1.0]), only_float32([1.0 + 1e-7], accuracy=0.51), None, "PASS", []),
        (
            only_float32([1.0]),
            only_float32([1.0], loss=0.51),
            *(None, "FAIL", [SCORE]),
        ),
        (
            only_float32([1.0]),
            only_float32([1.0, 2.0]),
            *(None, "FAIL", [COUNT]),
        ),
        # Other data is named before the losses that follow from it.
        (
            only_float32([1.0], data=A),
            only_float32([2.0], data=B),
            *(None, "FAIL", [f"head reads data with sha256 {B}…, base with sha256 {A}…"]),
        ),
        (
            only_float32([1.0], [None]),
            only_float32([1.0], [None]),
            *(None, "INVALID", [NOT_FINITE]),
        ),
    ],
    ids=["same", "task", "loss", "no loss", "rounding", "score", "count", "data", "not finite"],
)
def test_first_steps_that_differ_have_a_verdict_and_reasons(base, head, change, verdict, found):
    result = judge_first_steps(base, head, change)
    assert (result.verdict, list(map(str, result.reasons))) == (verdict, found)


def test_the_worst_deviation_is_stated():
    assert judge_first_steps(SAME, SAME).worst == 0.0
    rounded = judge_first_steps(only_float32([1.0]), only_float32([1.0 + 1e-7]))
    assert rounded.worst == pytest.approx(1e-7, rel=0.1)


def test_precisions_for_which_memory_ran_out_are_left_out():
    exact, timed = FirstSteps("float64", [[1.0]], {}), FirstSteps("float32", [[1.0]], {})
    lost = FirstSteps("float64", [], {}, memory_ran_out=True)
    for base, head in (
        ([exact, timed], [lost, timed]),
        ([lost, timed], [exact, timed]),
        ([timed], [lost, timed]),
    ):
        result = judge_first_steps(base, head)
        assert (result.verdict, *map(str, result.reasons)) == ("PASS", MEMORY)
    result = judge_first_steps([lost, timed], [exact, FirstSteps("float32", [[1.1]], {})])
    assert [reason.kind for reason in result.reasons] == ["losses differ"]
    declined = judge_first_steps([exact, timed], [timed])
    other = "head runs in float32, base in float64, float32"
    assert (declined.verdict, *map(str, declined.reasons)) == ("FAIL", other)
