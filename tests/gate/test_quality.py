"""Whether the first steps of head are those of base: made-up losses, real descriptions of tasks."""

import msgspec
import pytest
from support.tasks import defined, workload

from harness.gate import reasons
from harness.gate.quality import judge_first_steps, task_change
from harness.gate.reasons import TaskChanged
from harness.gate.training_worker import FirstSteps

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


def test_another_task_fails_though_the_first_steps_agree():
    change = TaskChanged(fields=["epochs"])
    result = judge_first_steps(SAME, SAME, change)
    assert (result.verdict, result.reasons, result.worst) == ("FAIL", [change], 0.0)


def only_float32(losses, loss=0.5, accuracy=0.5):
    return [FirstSteps("float32", losses, {"loss": loss, "accuracy": accuracy})]


def test_a_loss_that_differs_is_named_with_its_step_and_then_the_change_of_the_task():
    change = TaskChanged(fields=["version"])
    result = judge_first_steps(only_float32([[1.0], [1.0]]), only_float32([[1.0], [1.1]]), change)
    difference = reasons.LossDiffers(
        precision="float32", step=2, base=1.0, head=1.1, deviation=pytest.approx(0.0909, abs=1e-4)
    )
    assert (result.verdict, result.reasons) == ("FAIL", [difference, change])
    (lost,) = judge_first_steps(only_float32([[1.0]]), only_float32([[None]])).reasons
    assert (lost.head, lost.deviation) == (None, None)


def test_without_float64_the_loss_alone_shows_another_evaluation():
    """One sample that is classified differently is rounding; another loss is not."""
    base = only_float32([[1.0]])
    assert judge_first_steps(base, only_float32([[1.0 + 1e-7]], accuracy=0.51)).verdict == "PASS"
    result = judge_first_steps(base, only_float32([[1.0]], loss=0.51))
    score = reasons.ScoreDiffers(score="loss", steps=1, base=0.5, head=0.51)
    assert (result.verdict, result.reasons) == ("FAIL", [score])
    assert judge_first_steps(base, only_float32([[1.0 + 1e-7]])).worst == pytest.approx(1e-7, rel=0.1)


def test_another_number_of_losses_a_step_fails():
    result = judge_first_steps(only_float32([[1.0]]), only_float32([[1.0, 2.0]]))
    assert (result.verdict, result.reasons) == ("FAIL", [reasons.OtherLossCount(precision="float32")])


def test_other_data_is_named_before_the_losses_that_follow_from_it():
    base, head = ([FirstSteps("float32", [[loss]], {}, data * 12)] for loss, data in ((1.0, "a"), (2.0, "b")))
    result = judge_first_steps(base, head)
    assert (result.verdict, result.reasons) == ("FAIL", [reasons.OtherData(base="a" * 12, head="b" * 12)])


def test_losses_that_are_not_finite_in_either_are_invalid():
    lost = only_float32([[1.0], [None]])
    result = judge_first_steps(lost, lost)
    assert (result.verdict, result.reasons) == (
        "INVALID",
        [reasons.LossesNotFinite(precision="float32", step=2)],
    )
    assert judge_first_steps(only_float32([[1.0], [1.0]]), lost).verdict == "FAIL"


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
