"""When a run is scored, and on how much data."""

from dataclasses import replace

import pytest

from harness.core.runs.record import Evaluation
from harness.core.runs.store import RUNS
from harness.core.shell.run_options import EvaluationOptions, evaluation_of
from harness.core.training.scoring import unpacked

RUN = ("run", "--backend", "paced", "--task", "mlp", "--no-certify", "--epochs", "3", "--quiet")
GIVEN = EvaluationOptions(eval_every=None, eval_samples=None, no_eval=False)


@pytest.mark.parametrize(
    ("evaluation", "scored"),
    [
        (Evaluation(), [1, 2, 3, 4, 5]),
        (Evaluation(2), [2, 4, 5]),
        (Evaluation(9), [5]),
        (Evaluation(None), []),
    ],
)
def test_the_last_epoch_is_scored_unless_nothing_is(evaluation, scored):
    assert [epoch for epoch in range(1, 6) if evaluation.includes(epoch, last=epoch == 5)] == scored


def test_options_become_an_evaluation():
    assert evaluation_of(GIVEN) == Evaluation()
    assert evaluation_of(replace(GIVEN, eval_every=5, eval_samples=100)) == Evaluation(5, 100)
    assert evaluation_of(replace(GIVEN, no_eval=True)) == Evaluation(every_epochs=None)


@pytest.mark.slow
def test_a_run_is_scored_as_often_and_on_as_many_samples_as_asked(harness):
    record, _ = harness.recorded("ok", *RUN, "--eval-every", "2", "--eval-samples", "10")
    assert record["evaluation"] == {"every_epochs": 2, "samples": 10}
    assert [epoch["epoch"] for epoch in record["epochs"]] == [2, 3]
    assert record["best_epoch"] in {2, 3}
    accuracies = {epoch[split]["accuracy"] for epoch in record["epochs"] for split in ("train", "validation")}
    assert all(round(accuracy * 10, 9).is_integer() for accuracy in accuracies)
    assert record["test_at_last"] is not None
    assert "every 2 epochs, 10 samples" in harness("show", "last").stdout


@pytest.mark.slow
def test_a_record_holds_the_scores_of_each_test_sample(harness):
    """Of a third-party backend, which does nothing for it."""
    harness.ok(*RUN)
    (path,) = (harness.folder / "results" / RUNS.folder).glob("*.json")
    record = RUNS.read(path)
    for best in (False, True):
        samples, scores = record.test_samples(best=best), record.test_scores(best=best)
        assert samples.count == record.dataset.samples["test"]
        rows = unpacked(samples)
        assert rows.right.mean() == pytest.approx(scores["accuracy"], abs=1e-12)
        assert rows.losses.mean() == pytest.approx(scores["loss"], rel=1e-3)


@pytest.mark.long
def test_a_run_that_scores_nothing_trains_as_long(harness):
    record, _ = harness.recorded("ok", *RUN, "--no-eval")
    assert (record["epochs"], record["best_epoch"], record["test_at_last"]) == ([], None, None)
    assert record["test_samples_at_last"] is None
    assert {block["epoch"] for block in record["blocks"]} == {1, 2, 3}
    assert record["phases"]["evaluation_seconds"] == 0
