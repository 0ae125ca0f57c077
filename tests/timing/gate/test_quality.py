"""Whether the first steps of head are those of base: made-up losses, real descriptions of tasks."""

import msgspec
import pytest
from support.tasks import defined
from support.workloads import workload

from harness.timing.gate import reasons
from harness.timing.gate.first_steps import judge_first_steps, task_change
from harness.timing.gate.reasons import TaskChanged
from harness.timing.gate.training_worker import FirstSteps

SAME = [FirstSteps("float64", [[1.0], [0.9]], {"accuracy": 0.5}), FirstSteps("float32", [[1.0]], {})]


def of_mlp(label, options=(), **changes):
    task = msgspec.structs.replace(defined(), **changes)
    return msgspec.structs.replace(workload(label, task=task), options=dict(options))


@pytest.mark.parametrize(
    ("base", "head", "changes", "change"),
    [
        ([("width", 2)], [("width", 2), ("smoothing", 0.0)], {}, None),  # base did not have the option yet
        ([("width", 2)], [("width", 4)], {}, TaskChanged(options={"width": (2, 4)})),
        ([], [], {"epochs": 99}, TaskChanged(fields=["epochs"])),
        ([], [], {"epochs": 99, "version": 7}, TaskChanged(fields=["version", "epochs"])),
    ],
)
def test_tasks_differ_in_options_or_else_in_fields(base, head, changes, change):
    assert task_change(of_mlp("base", base), of_mlp("head", head, **changes)) == change


def only_float32(*losses, loss=0.5, accuracy=0.5, data=""):
    return [FirstSteps("float32", [*losses], {"loss": loss, "accuracy": accuracy}, data)]


CHANGE = TaskChanged(fields=["version"])
LATER = reasons.LossDiffers(
    precision="float32", step=2, base=1.0, head=1.1, deviation=pytest.approx(0.0909, abs=1e-4)
)
LOST = reasons.LossDiffers(precision="float32", step=1, base=1.0, head=None, deviation=None)
A, B = "a" * 12, "b" * 12


@pytest.mark.parametrize(
    ("base", "head", "change", "verdict", "found"),
    [
        (SAME, SAME, None, "PASS", []),
        (SAME, SAME, CHANGE, "FAIL", [CHANGE]),  # though the first steps agree
        (only_float32([1.0], [1.0]), only_float32([1.0], [1.1]), CHANGE, "FAIL", [LATER, CHANGE]),
        (only_float32([1.0]), only_float32([None]), None, "FAIL", [LOST]),
        # One sample that is classified differently is rounding; another loss is not.
        (only_float32([1.0]), only_float32([1.0 + 1e-7], accuracy=0.51), None, "PASS", []),
        (
            only_float32([1.0]),
            only_float32([1.0], loss=0.51),
            *(None, "FAIL", [reasons.ScoreDiffers(score="loss", steps=1, base=0.5, head=0.51)]),
        ),
        (
            only_float32([1.0]),
            only_float32([1.0, 2.0]),
            *(None, "FAIL", [reasons.OtherLossCount(precision="float32")]),
        ),
        # Other data is named before the losses that follow from it.
        (
            only_float32([1.0], data=A),
            only_float32([2.0], data=B),
            *(None, "FAIL", [reasons.OtherData(base=A, head=B)]),
        ),
        (
            only_float32([1.0], [None]),
            only_float32([1.0], [None]),
            *(None, "INVALID", [reasons.LossesNotFinite(precision="float32", step=2)]),
        ),
    ],
    ids=["same", "task", "loss", "no loss", "rounding", "score", "count", "data", "not finite"],
)
def test_first_steps_that_differ_have_a_verdict_and_reasons(base, head, change, verdict, found):
    result = judge_first_steps(base, head, change)
    assert (result.verdict, result.reasons) == (verdict, found)


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
        assert (result.verdict, result.reasons) == ("PASS", [reasons.MemoryRanOut(precisions=["float64"])])
    result = judge_first_steps([lost, timed], [exact, FirstSteps("float32", [[1.1]], {})])
    assert [type(reason) for reason in result.reasons] == [reasons.LossDiffers]
    declined = judge_first_steps([exact, timed], [timed])
    other = reasons.OtherPrecisions(base=["float64", "float32"], head=["float32"])
    assert (declined.verdict, declined.reasons) == ("FAIL", [other])
