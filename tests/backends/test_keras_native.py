"""Models of a user's own in the three Keras backends, compared in float64 with the same models in PyTorch.

Engines cannot share a process, so each makes all its programs in one, one after the other.
"""

import importlib.util
import pickle
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support import training_cases
from support.engines import child_results
from support.own_models import tasks

from harness.layers import Dense, Flatten, Reshape
from harness.layers.native import NativeModel
from harness.network import Network
from harness.spec.backend import Steps, Unsupported
from harness.spec.schedules import ConstantRate
from harness.spec.task import Penalty
from harness.tracing.calls import Stored

# Engines start and compile in separate processes, which takes long on a busy machine.
pytestmark = pytest.mark.timeout(900)

#: 24 steps. Only one task ends with a short batch, for which the step is compiled again.
BLOCKS = ((1, 8), (8, 8), (15, 8))
SHORT_BLOCK = (1, 3)


def _build(backend, task, mode, precision="float64", seed=3):
    return training_cases.program(backend, task, mode, precision, seed)


def _losses(program, task, blocks=BLOCKS):
    return training_cases.trained(program, task, blocks)


def _train(backend, task, mode, precision="float64"):
    program = _build(backend, task, mode, precision)
    loaded = program.weights()
    short = (SHORT_BLOCK,) if task.schedule != ConstantRate() else ()
    losses = _losses(program, task, (*BLOCKS, *short))
    return {
        "loaded": loaded,
        "losses": losses,
        "weights": program.weights(),
        "predictions": program.predict(training_cases.samples(task, precision).inputs),
    }


def _with_model(task, name):
    """The task with another of the user's models in Keras."""
    (network,) = task.networks.values()
    (layer,) = network.layers
    model = NativeModel("keras", f"{tasks.FOLDER / 'in_keras.py'}:{name}")
    layer = msgspec.structs.replace(layer, models=(model,))
    return msgspec.structs.replace(
        task, networks={"model": msgspec.structs.replace(network, layers=(layer,))}
    )


def _dropping(dropout, rate=0.5, seed=None, trained=tasks.DROPOUT, name="dropout"):
    arguments = {"rate": rate, "seed": seed} if name == "dropout" else None
    return tasks.task(tasks.native(name, trained, (3,), arguments=arguments, dropout=dropout))


_NO_CODE = msgspec.structs.replace(
    tasks.native("regularized", tasks.DENSE, (3,)), models=(NativeModel("jax", "a.py:b"),)
)
_NOWHERE = (msgspec.structs.replace(tasks.DENSE[0], stored={}),)
_PARTS = (
    tasks.array("a/kernel", (6, 4), Stored("dense/kernel", axis=1, start=0, stop=4)),
    tasks.array("b/table", (6, 4), Stored("dense/kernel", axis=1, start=4, stop=8)),
    *tasks.DROPOUT[1:],
)
_OTHER_SHAPE = (tasks.array("a", (4, 6), "dense/kernel"), *tasks.DROPOUT[1:])
#: Models that are declined, by name; ``WORDS`` says for which reason.
REFUSED = {
    "no code": tasks.task(_NO_CODE),
    "raises": tasks.task(tasks.native("missing", tasks.DENSE, (3,))),
    "no model": tasks.task(tasks.native("no_model", tasks.DENSE, (3,))),
    "two outputs": tasks.task(tasks.native("two_outputs", tasks.DENSE, (3,))),
    "other output": tasks.task(tasks.native("dropout", tasks.DROPOUT, (4,))),
    "other input": tasks.task(tasks.native("dropout", tasks.DROPOUT, (3,)), (5,)),
    "regularized": tasks.task(tasks.native("regularized", tasks.DENSE, (3,))),
    "activity": tasks.task(tasks.native("active", tasks.DENSE, (3,))),
    "adding": tasks.task(tasks.native("Adding", tasks.DENSE, (3,))),
    "within": tasks.task(tasks.native("adding_within", tasks.DENSE, (3,))),
    "not named": tasks.task(tasks.native("dropout", tasks.DROPOUT[:-1], (3,))),
    "no variable": tasks.task(tasks.native("dropout", tasks.UNSEEDED, (3,))),
    "frozen": tasks.task(tasks.native("frozen", tasks.DENSE, (3,))),
    "other shape": tasks.task(tasks.native("dropout", _OTHER_SHAPE, (3,))),
    "nowhere": tasks.task(tasks.native("dropout", _NOWHERE, (3,))),
    "partly decayed": tasks.task(tasks.native("dropout", _PARTS, (3,)), weight_decay=0.1),
    "partly penalised": tasks.task(tasks.native("dropout", _PARTS, (3,)), penalty=Penalty(l1=0.1)),
    "slow": tasks.task(tasks.native("Plain", tasks.PLAIN, (3,))),
    "unseeded": tasks.task(tasks.native("Unseeded", tasks.UNSEEDED, (3,), dropout="active")),
}
WORDS = {
    "no code": "has code for jax and none for keras",
    "raises": "has no callable 'missing'",
    "no model": "returned int and no keras.Model",
    "two outputs": "has 2 outputs; a task needs one",
    "other output": "output has shape (3,), and the task says (4,)",
    "other input": "Functional cannot be called with inputs of shape (5,)",
    "regularized": "sequential/dense/kernel has a regularizer",
    "activity": "the model adds to its loss",
    "adding": "the model adds to its loss",
    "within": "the model adds to its loss",
    "not named": "dense_1/bias",
    "no variable": "missing: unseeded/dense/kernel",
    "frozen": "does not train sequential/dense/kernel",
    "other shape": "of another shape: ",
    "nowhere": "does not say where keras stores only/kernel",
    "partly decayed": "dense/kernel holds several arrays of which only some are decayed",
    "partly penalised": "dense/kernel holds several arrays of which only some are penalised",
    "slow": "XLA cannot compile the model's layer slow",
}


def _refusals(backend, mode):
    messages = {}
    for name, task in REFUSED.items():
        try:
            _build(backend, task, mode)
        except Unsupported as error:
            messages[name] = str(error)
    return messages


def _continued(backend, task, mode):
    """The losses of a call after another, and those of a program that makes its steps in many calls."""
    first = _build(backend, task, mode)
    _losses(first, task, BLOCKS[:1])
    weights, state = first.weights(), first.training_state()
    indices = np.random.default_rng(1).integers(0, training_cases.SAMPLES, (6, 8))
    losses = first.train(Steps(indices))
    second = _build(backend, task, mode)
    second.load(weights)
    second.load_training_state(state)
    return losses, np.concatenate([second.train(Steps(rows[None])) for rows in indices])


def _drops(backend, mode):
    def losses(task, seed=3):
        return _losses(_build(backend, task, mode, seed=seed), task, BLOCKS[:1])

    fixed = _dropping("active", seed=42)
    results = {
        "none": losses(_dropping("none", rate=0.0)),
        "off": losses(_dropping("off")),
        "active": [losses(_dropping("active"), seed) for seed in (3, 3, 4)],
        "seed of its own": [losses(fixed, seed) for seed in (3, 3, 4)],
        "continued": _continued(backend, _dropping("active"), mode),
    }
    if backend.name != "keras-jax":
        unseeded = _dropping("active", trained=tasks.UNSEEDED, name="Unseeded")
        results["unseeded"] = [losses(unseeded, seed) for seed in (3, 3, 4)]
        results["unseeded continued"] = _continued(backend, unseeded, mode)
    return results


def _plain(backend, mode):
    """What a network without a model of the user's own gives."""
    layers = (Flatten(), Dense(6, "gelu"), Reshape((6, 1)), Flatten(), Dense(4))
    task = msgspec.structs.replace(
        tasks.TASKS["cnn adam"], networks={"model": Network((6, 4, 3), layers)}, name="plain"
    )
    return _losses(_build(backend, task, mode, "float32"), task, BLOCKS[:1])


def child(name, mode, path):
    """Train with an engine and mode, and write the results to a file."""
    from harness_keras import harness_backend

    backend = harness_backend(name)
    backend.environment(1)
    results = {"plain before": _plain(backend, mode)}
    results |= {case: _train(backend, task, mode) for case, task in tasks.TASKS.items()}
    results["float32"] = _train(backend, tasks.TASKS["cnn adam"], mode, "float32")
    if name == "keras-torch":  # which compiles nothing
        results["bfloat16"] = _train(backend, tasks.TASKS["cnn adam"], mode, "bfloat16")
    results["plain after"] = _plain(backend, mode)
    results["drops"] = _drops(backend, mode)
    results["refused"] = _refusals(backend, mode)
    if name != "keras":  # whose convolutions on the CPU need the channels last
        task = _with_model(tasks.TASKS["cnn adam"], "channels_first_cnn")
        results["channels first"] = _train(backend, task, mode)
    Path(path).write_bytes(pickle.dumps(results))


# --- The tests ----------------------------------------------------------------------------------

#: Engines and modes; the first compiles nothing.
RUNS = [
    ("keras-torch", "fit"),
    pytest.param(("keras", "fit"), marks=pytest.mark.slow),
    *(pytest.param(run, marks=pytest.mark.long) for run in (("keras-jax", "fit"), ("keras", "xla"))),
]
ENGINES = {"keras": "tensorflow", "keras-jax": "jax", "keras-torch": "torch"}


@pytest.fixture(scope="module", params=RUNS, ids=":".join)
def results(request, tmp_path_factory):
    """The results of an engine and mode, computed once."""
    name, mode = request.param
    for module in ("keras", "torch", ENGINES[name]):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    found = child_results("test_keras_native", name, mode, folder=tmp_path_factory.mktemp("native"))
    return found | {"backend": name, "mode": mode}


@pytest.fixture(scope="module")
def expected():
    """What torch gives."""
    pytest.importorskip("torch")
    from harness_torch import harness_backend

    backend = harness_backend("torch")
    return {name: _train(backend, task, "eager") for name, task in tasks.TASKS.items()}


def _assert_near(actual, expected, most, name=""):
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= most * max(1.0, np.abs(expected).max()), name


def _assert_same_training(actual, expected, most):
    _assert_near(actual["losses"], expected["losses"], most)
    _assert_near(actual["predictions"], expected["predictions"], most)
    for key in ("loaded", "weights"):
        assert list(actual[key]) == list(expected[key])
        for name, array in actual[key].items():
            _assert_near(array, expected[key][name], most, name)


def test_a_model_trains_as_the_same_one_in_torch(results, expected):
    for name in tasks.TASKS:
        actual = results[name]
        assert actual["losses"].dtype == np.float64
        changed = [key for key, array in actual["weights"].items() if (array != actual["loaded"][key]).any()]
        assert changed == [key for key in actual["weights"] if name != "partly frozen" or "last" in key]
        _assert_same_training(actual, expected[name], 1e-9)


def test_after_certificates_a_program_computes_in_float32(results, expected):
    actual, exact = results["float32"], expected["cnn adam"]
    assert {array.dtype for array in actual["weights"].values()} == {np.dtype(np.float32)}
    assert np.abs(actual["losses"] - exact["losses"]).max() > 1e-9
    _assert_same_training(actual, exact, 1e-3)


def test_bfloat16_is_mixed_precision(results, expected):
    if "bfloat16" not in results:
        pytest.skip("the same on all engines")
    actual, exact = results["bfloat16"], expected["cnn adam"]
    assert actual["losses"].dtype == actual["predictions"].dtype == np.float32
    assert {array.dtype for array in actual["weights"].values()} == {np.dtype(np.float32)}
    assert 1e-4 < np.abs(actual["losses"] - exact["losses"]).max() < 0.1


def test_networks_of_the_harness_are_not_affected(results):
    assert np.array_equal(results["plain before"], results["plain after"])


def test_a_model_with_its_channels_first_computes_the_same(results, expected):
    if "channels first" not in results:
        pytest.skip("TensorFlow's convolutions on the CPU need the channels last")
    _assert_same_training(results["channels first"], expected["cnn adam"], 1e-9)


def test_dropout_that_is_off_drops_nothing(results):
    assert np.array_equal(results["drops"]["off"], results["drops"]["none"])


@pytest.mark.parametrize("model", ["active", "seed of its own", "unseeded"])
def test_dropout_follows_the_seed_of_the_plan(results, model):
    if model not in results["drops"]:
        pytest.skip("on JAX Keras draws by states of layers only")
    first, same, other = results["drops"][model]
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, results["drops"]["off"])


@pytest.mark.parametrize("model", ["continued", "unseeded continued"])
def test_dropout_goes_on_where_a_program_was(results, model):
    if model not in results["drops"]:
        pytest.skip("on JAX Keras draws by states of layers only")
    first, second = results["drops"][model]
    assert np.allclose(first, second, rtol=1e-12)


def test_what_does_not_fit_the_task_is_declined(results):
    modes = {"slow": "xla"}
    due = {
        name: words for name, words in WORDS.items() if modes.get(name, results["mode"]) == results["mode"]
    }
    if results["backend"] == "keras-jax":
        due["unseeded"] = "Unseeded cannot be called"
    assert set(results["refused"]) == set(due)
    for name, words in due.items():
        assert words in results["refused"][name], name
