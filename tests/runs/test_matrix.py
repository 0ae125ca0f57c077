"""The runs that ``harness run`` plans: their order, their sizes, and what is refused first."""

import pytest

from harness.errors import UsageError
from harness.runs import matrix
from harness.runs.matrix import MatrixOptions, RunMatrix
from harness.runs.record import DatasetRecord

pytest.importorskip("torch")


def options(**changes):
    return MatrixOptions(**{"backends": ["torch"], "tasks": ["mlp"], "seeds": [0], **changes})


def requests(**changes):
    return RunMatrix(options(**changes)).requests(lambda _what, _done, _total: None)


def test_seeds_change_slowest_and_backends_fastest():
    planned = requests(backends=["torch", "torch:compile"], tasks=["mlp", "rnn"], seeds=[3, 4])
    cells = [(run.plan.seed, run.plan.task.name, run.plan.mode) for run in planned]
    assert cells[:4] == [
        (3, "mlp", "eager"),
        (3, "mlp", "compile"),
        (3, "rnn", "eager"),
        (3, "rnn", "compile"),
    ]
    assert [seed for seed, _, _ in cells] == [3] * 4 + [4] * 4


def test_the_same_configuration_twice_runs_once():
    assert len(requests(backends=["torch", "torch:eager"])) == 1


def test_options_reach_every_request():
    (run,) = requests(
        epochs=3,
        batch_size=50,
        max_steps=7,
        threads=1,
        precision="float64",
        assignments=["width=2"],
        timeout=9.0,
    )
    assert (run.plan.task.epochs, run.plan.task.batch_size, run.max_steps) == (3, 50, 7)
    assert (run.plan.threads, run.plan.precision, run.timeout_seconds) == (1, "float64", 9.0)
    assert run.options["width"] == 2
    assert run.dataset == DatasetRecord("mnist1d")


def test_a_preset_sets_what_is_not_given():
    (small,) = requests(preset="smoke")
    (asked,) = requests(preset="smoke", epochs=99)
    assert small.plan.task.epochs < asked.plan.task.epochs == 99


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backends": []}, "--backend is missing"),
        ({"tasks": []}, "--task is missing"),
        ({"tasks": ["mlp", "cnn"], "dataset": "cifar10"}, "task mlp does not run on cifar10"),
        ({"backends": ["torch:x"]}, "unknown mode 'x' of backend torch"),
        ({"assignments": ["widht=1"]}, "Did you mean 'width'"),
    ],
)
def test_names_and_options_are_refused_before_data_is_fetched(monkeypatch, changes, message):
    monkeypatch.setattr(matrix, "choose_dataset", lambda *_: pytest.fail("fetched"))
    with pytest.raises(UsageError, match=message):
        requests(**changes)


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(UsageError, match="larger than the 3,600 training samples of mnist1d"):
        requests(batch_size=3601)
