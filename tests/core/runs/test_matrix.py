"""The runs that ``harness run`` plans: their order, their sizes, and what is refused first."""

import itertools
from unittest.mock import Mock

import pytest

from harness.core.plugins import registry
from harness.core.runs import matrix
from harness.core.runs.matrix import MatrixOptions, RunMatrix
from harness.core.runs.record import DatasetRecord
from harness.core.runs.request import ask_source
from harness.core.runs.summary import matrix_sentence
from harness.errors import DataError, UsageError
from harness.spec.task import Adam

pytest.importorskip("torch")


def options(**changes):
    return MatrixOptions(**{"backends": ["torch"], "tasks": ["mlp"], "seeds": [0], **changes})


def requests(**changes):
    return RunMatrix(options(**changes)).requests(lambda _what, _done, _total: None)


def test_seeds_change_slowest_and_backends_fastest():
    planned = requests(backends=["torch", "torch:compile"], tasks=["mlp", "rnn"], seeds=[3, 4])
    cells = [(run.seed, run.task.name, run.configuration.mode) for run in planned]
    assert cells == [*itertools.product([3, 4], ["mlp", "rnn"], ["eager", "compile"])]


def test_the_same_configuration_twice_runs_once():
    assert len(requests(backends=["torch", "torch:eager"])) == 1


def test_a_star_runs_all_modes():
    planned = requests(backends=["torch:*", "torch"], tasks=["cnn"])
    assert [run.configuration.mode for run in planned] == ["eager", "compile", "channels_last"]


def test_each_task_has_its_own_default_mode():
    planned = requests(tasks=["mlp", "cnn"])
    assert [run.configuration.mode for run in planned] == ["eager", "channels_last"]
    matrix = RunMatrix(options(tasks=["mlp", "cnn"], backends=["torch", "jax"]))
    assert matrix.axes()["backend"] == ["torch", "jax:jit"]


def test_options_reach_every_request():
    (run,) = requests(
        epochs=3,
        batch_sizes=[50],
        max_steps=7,
        threads=[1],
        precisions=["float64"],
        assignments=["width=2"],
        timeout=9.0,
    )
    assert (run.task.epochs, run.task.batch_size, run.max_steps) == (3, 50, 7)
    configuration = run.configuration
    assert (configuration.threads, configuration.precision, run.timeout_seconds) == (1, "float64", 9.0)
    assert run.options["width"] == 2
    assert run.dataset == DatasetRecord("mnist1d")


def test_a_preset_sets_what_is_not_given():
    (small,) = requests(preset="smoke")
    (asked,) = requests(preset="smoke", epochs=99)
    assert small.task.epochs < asked.task.epochs == 99
    (small,) = requests(preset="smoke", tasks=["lm"])
    (asked,) = requests(preset="smoke", tasks=["lm"], epochs=2)
    (limited,) = requests(preset="smoke", tasks=["lm"], max_steps=7)
    assert (small.max_steps, asked.max_steps, limited.max_steps) == (40, None, 7)


@pytest.mark.parametrize(
    "changes",
    [
        {"backends": []},
        {"tasks": []},
        {"tasks": ["mlp", "cnn"], "dataset": "cifar10"},
        {"backends": ["torch:x"]},
        {"assignments": ["widht=1"]},
        {"assignments": ["optimizer=adam,lion"]},
        {"assignments": ["optimizer=sgd,adam", "momentum=0.9"]},
    ],
    ids=["backend", "task", "data set", "mode", "option", "value", "exclusion"],
)
def test_names_and_options_are_refused_before_data_is_fetched(monkeypatch, changes, snapshot):
    monkeypatch.setattr(matrix, "choose_dataset", lambda *_: pytest.fail("fetched"))
    with pytest.raises(UsageError) as caught:
        requests(**changes)
    assert str(caught.value) == snapshot


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(UsageError, match="larger than the 3,600 training samples of mnist1d"):
        requests(batch_sizes=[100, 3601])


def test_values_of_options_and_batch_sizes_are_combined():
    planned = requests(
        assignments=["optimizer=adam,sgd", "learning_rate=0.1,.01"], batch_sizes=[32, 64], seeds=[0, 1]
    )
    cells = [(run.seed, run.options["optimizer"], run.options["learning_rate"]) for run in planned]
    assert cells[::2] == [*itertools.product([0, 1], ["adam", "sgd"], [0.1, 0.01])]
    assert [run.task.batch_size for run in planned[:2]] == [32, 64]
    assert planned[0].plan.task.optimizer == Adam(0.1)
    assert planned[1].variant == "optimizer=adam, learning_rate=0.1, batch_size=64"


def test_precisions_and_threads_are_combined_and_backends_change_fastest():
    planned = requests(
        backends=["torch", "torch:compile"], precisions=["float32", "bfloat16"], threads=[1, 2]
    )
    asked = [run.configuration for run in planned]
    plans = [(each.precision, each.threads, each.mode) for each in asked]
    assert plans == [*itertools.product(["float32", "bfloat16"], [1, 2], ["eager", "compile"])]
    assert planned[0].variant == "precision=float32, threads=1"


def test_full_batches_are_planned_once_for_all_batch_sizes():
    planned = requests(assignments=["optimizer=gd,sgd"], batch_sizes=[32, 64])
    assert [run.task.batch_size for run in planned] == [None, 32, 64]
    with pytest.raises(UsageError, match="takes all training data at once"):
        requests(assignments=["optimizer=gd"], batch_sizes=[32, 64])


def test_what_varies_is_named_with_its_values(snapshot):
    matrix = RunMatrix(options(seeds=[0, 1, 2], assignments=["optimizer=adam,sgd", "width=2"], threads=[1]))
    assert matrix.axes() == {"optimizer": ["adam", "sgd"], "seed": [0, 1, 2]}
    axes = {"optimizer": ["gd", "sgd", "adam"], "nesterov": [False, True], "width": [0.5, 1.0, 2.0]}
    assert [matrix_sentence(matrix.axes(), 6), matrix_sentence(axes, 18)] == snapshot
    assert matrix_sentence(RunMatrix(options()).axes(), 1) == ""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError("Unable to allocate 8 EiB"), "does not fit into memory: Unable to allocate 8 EiB"),
        (OverflowError("too\udcffbig"), r"raised OverflowError: too\\udcffbig"),
    ],
)
def test_a_size_that_is_impossible_is_no_matter_of_batches(error, message, monkeypatch):
    source = Mock()
    source.load.side_effect = error
    monkeypatch.setattr(registry, "dataset", lambda _name: source)
    with pytest.raises(DataError, match=message) as raised:
        ask_source("big", lambda source: source.load())
    assert "batch" not in str(raised.value)
