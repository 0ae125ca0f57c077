"""The Keras backends compared with the reference in float64: every layer, objective and optimizer.

Engines cannot share a process, so each engine and mode runs its cases in one process. What Keras computes by
PyTorch is not compiled, so that engine runs every case; the others run a few that have every kind of layer.
"""

import functools
import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import training_cases
from support.engines import child_results
from support.training_cases import CLASSES, CONVOLUTIONS, LAST_OUTPUTS, TASKS, task

from harness.core.certify.input_gradients import check_gradients
from harness.layers import Dense, Dropout, Flatten, SelfAttention
from harness.network import Network
from harness.spec.backend import Plan, Steps, Unsupported
from harness.spec.data import Samples
from harness.spec.task import Augmentation, Classification, OwnCode, Regression, Sgd

# Frameworks start and compile in separate processes, which takes long on a busy machine.
pytestmark = pytest.mark.timeout(900)

RATE = 0.25
SMALL = Network(CONVOLUTIONS.input_shape, (Flatten(), Dense(8, "relu"), Dense(CLASSES)))
NEAR = {
    "dense": task(SMALL),
    "classification": task(CONVOLUTIONS, augmentation=Augmentation(crop=1)),
    "regression": task(LAST_OUTPUTS, Regression()),
    **{name: TASKS[name] for name in ("adversarial momentum", "residual", "transformer")},
}

# --- What runs in the process of an engine ------------------------------------------------------


def _count_traces(program, traces):
    """Count in the last number of ``traces`` how often a step's Python code runs; of Keras programs only."""
    if (model := getattr(program, "_model", None)) is None or not hasattr(model, "loss_terms"):
        return
    terms = model.loss_terms

    def counted(targets, outputs):
        traces[-1] += 1
        return terms(targets, outputs)

    model.loss_terms = counted


def _train(backend, mode, task, precision="float64", *, explained=False):
    built, traces = training_cases.program(backend, task, mode, precision), []
    _count_traces(built, traces)
    train = built.train
    built.train = lambda steps: traces.append(0) or train(steps)
    results = training_cases.results(built, task, precision) | {"traces": traces}
    return results | {"gradients": _gradients(built, task)} if explained else results


def _dropout(backend, mode, seed):
    """Two steps of one sample of ones: the kernel's change over the bias's is the mask, scaled."""
    dropping = task(Network((4000,), (Dropout(RATE), Dense(5))), optimizer=Sgd(1.0))
    data = Samples(np.ones((1, 4000)), np.zeros(1, np.int64))
    data.targets.flags.writeable = False  # as in a memory-mapped data set
    program = backend.build(
        Plan(task=dropping, mode=mode, device="cpu", precision="float64", threads=1, seed=seed), data
    )
    masks = []
    for _ in range(2):
        program.load({"model/dense_1/kernel": np.zeros((4000, 5)), "model/dense_1/bias": np.zeros(5)})
        program.train(Steps(np.zeros((1, 1), np.int64)))
        weights = program.weights()
        masks.append(weights["model/dense_1/kernel"][:, 0] / weights["model/dense_1/bias"][0])
    program.load({"model/dense_1/kernel": np.ones((4000, 5)), "model/dense_1/bias": np.zeros(5)})
    numbered = np.arange(300.0)[:, None] * data.inputs  # more than one batch, and no whole number of them
    return {
        "masks": masks,
        "evaluation": program.predict(data.inputs),
        "numbered": program.predict(numbered),
    }


def _attention_dropout(backend, mode):
    """As :func:`_dropout`, of the weights of an attention whose output is their masks, scaled by 1 / 60."""
    steps = 60
    network = Network((steps, steps), (SelfAttention(1, dropout=RATE), Flatten(), Dense(2)))
    dropping = task(network, Regression(), Sgd(1.0))
    identity = np.eye(steps)
    data = Samples(identity[None], np.ones((1, 2)))
    program = backend.build(
        Plan(task=dropping, mode=mode, device="cpu", precision="float64", threads=1, seed=3), data
    )
    weights = {name: np.zeros(weight.shape) for name, weight in dropping.weights().items()}
    weights["model/self_attention_1/qkv_kernel"][:, 2 * steps :] = identity  # equal scores; values are inputs
    weights["model/self_attention_1/output_kernel"] = identity
    masks = []
    for _ in range(2):
        program.load(weights)
        program.train(Steps(np.zeros((1, 1), np.int64)))
        trained = program.weights()
        masks.append(trained["model/dense_1/kernel"][:, 0] / trained["model/dense_1/bias"][0] * steps)
    program.load(weights | {"model/dense_1/kernel": np.ones((steps * steps, 2))})
    return {"masks": masks, "evaluation": program.predict(data.inputs)}


#: The numbers are such that float32 has exactly, through which TensorFlow's optimizer casts them.
OWN_MOMENTUM = Sgd(0.125, momentum=0.875)
OWN = f"""
import keras

def loss(outputs, targets):
    return keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True)

def optimizer():
    return keras.optimizers.SGD({OWN_MOMENTUM.learning_rate}, momentum={OWN_MOMENTUM.momentum})
"""


def _own_code(backend, mode, folder):
    """A training by the user's loss and optimizer in place of others, and the one that they repeat."""
    (file := folder / "own.py").write_text(OWN)
    code = OwnCode(loss=f"{file}:loss", optimizer=f"{file}:optimizer")
    other = task(SMALL, Classification(loss="mse_logits"), Sgd(1.0), own_code=code)
    return [_train(backend, mode, each) for each in (other, task(SMALL, optimizer=OWN_MOMENTUM))]


def _gradients(built, task):
    """Gradients by the inputs beside exact ones; of tokens by their embeddings, in one table with the end."""
    inputs = training_cases.samples(task).inputs
    built.load(training_cases.weights(task))
    places = np.arange(len(inputs)) % np.prod(task.networks["model"].output_shape())
    return check_gradients(built, task, inputs, places)


def _first_steps_of_adam():
    """What a step with learning rate 0.1 adds to a weight, for each beta."""
    import keras

    from harness_keras.optimizers import Adam as ContractAdam

    changes = []
    for beta in (0.0, 0.9, 0.999999, 0.99999999):
        weight, optimizer = keras.Variable([0.0]), ContractAdam(0.1, beta_1=beta, beta_2=beta, epsilon=0.0)
        optimizer.build([weight])
        optimizer.apply([keras.ops.convert_to_tensor([2.0])], [weight])
        changes.append(float(keras.ops.convert_to_numpy(weight)[0]))
    return changes


def child(name, mode, cases, near, path):
    """Run the cases and write ``{case: arrays}`` to a file."""
    from harness_keras import harness_backend

    backend = harness_backend(name)
    assert backend.environment(1)["keras"]
    assert mode in backend.modes
    first_steps = None if name == "keras-torch" else _first_steps_of_adam()
    results = {case: _train(backend, mode, TASKS[case], explained=case in EXPLAINED) for case in cases}
    results |= {"name": name, "cases": cases, "first steps of Adam": first_steps}
    results["dropout"] = [_dropout(backend, mode, seed) for seed in (3, 3, 4)]
    results["attention dropout"] = [_attention_dropout(backend, mode)]
    results["own code"] = _own_code(backend, mode, Path(path).parent)
    results["imports TensorFlow"] = "tensorflow" in sys.modules
    for precision in ("float32", "bfloat16"):
        results[precision] = {key: _train(backend, mode, NEAR[key], precision) for key in near}
    for key, attempt in {
        "cuda": lambda: backend.build(
            Plan(task=task(SMALL), mode=mode, device="cuda", threads=1, seed=3),
            training_cases.samples(task(SMALL)),
        ),
        "engine": lambda: harness_backend("keras" if name != "keras" else "keras-jax").environment(1),
    }.items():
        try:
            attempt()
        except Unsupported as error:
            results[key] = str(error)
    Path(path).write_bytes(pickle.dumps(results))


# --- The tests ----------------------------------------------------------------------------------

#: Between them they have every kind of layer, objective, optimizer and rule; compilers take seconds for each.
COMPILED = ("adversarial adam", "residual", "transformer", "sequences", "huber")
#: Those whose gradients by the inputs are compared too, and which every run has.
EXPLAINED = ("residual", "transformer")
MODES = {
    ("keras", "fit"): "tensorflow",
    ("keras", "xla"): "tensorflow",
    ("keras-jax", "fit"): "jax",
    ("keras-torch", "fit"): "torch",
}
#: Engine and mode with the cases that it runs, and those in lower precisions.
RUNS = [
    ("keras-torch", "fit", tuple(TASKS), tuple(NEAR)),  # which compiles nothing
    pytest.param(("keras", "fit", COMPILED, ("dense",)), marks=pytest.mark.slow),
    pytest.param(("keras-jax", "fit", EXPLAINED, ("dense",)), marks=pytest.mark.slow),
    *(
        pytest.param((*mode, tuple(TASKS), tuple(NEAR)), marks=pytest.mark.long)
        for mode in MODES
        if mode[0] != "keras-torch"
    ),
]


@pytest.fixture(
    scope="module",
    params=RUNS,
    ids=lambda run: f"{run[0]}:{run[1]}-{'all' if len(run[2]) == len(TASKS) else 'some'}",
)
def results(request, tmp_path_factory):
    """The results of an engine and mode, computed once."""
    name, mode, cases, near = request.param
    for module in ("keras", MODES[name, mode]):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    return child_results(
        "test_keras_programs", name, mode, cases, near, folder=tmp_path_factory.mktemp("keras")
    )


@pytest.fixture(scope="module")
def expected():
    """What the reference in NumPy gives, computed at its first use."""
    tasks = TASKS | NEAR
    return functools.cache(lambda case: training_cases.expected(tasks[case]))


def test_gradients_by_the_inputs_are_exact(results):
    for case in EXPLAINED:
        check = results[case]["gradients"]
        assert (check.against, check.passed) == ("the NumPy reference", True)


def test_float64_training_is_that_of_the_reference(results, expected):
    for case in results["cases"]:
        training_cases.assert_same_training(results[case], expected(case), 1e-9, case)


@pytest.mark.parametrize(("kind", "evaluation"), [("dropout", 4000), ("attention dropout", 60)])
def test_dropout_scales_what_it_keeps_and_is_off_in_evaluation(results, kind, evaluation):
    for run in results[kind]:
        for mask in run["masks"]:
            kept = mask > 0
            np.testing.assert_allclose(mask[kept], 1 / (1 - RATE))
            assert abs(kept.mean() - (1 - RATE)) < 0.03  # 4 standard deviations
        np.testing.assert_allclose(run["evaluation"], evaluation)


def test_predictions_of_several_batches_are_in_the_order_of_their_inputs(results):
    for run in results["dropout"]:
        np.testing.assert_allclose(run["numbered"], np.arange(300.0)[:, None] * np.full(5, 4000.0))


def test_dropout_masks_follow_from_the_seed_and_differ_between_steps(results):
    masks, same_seed, other_seed = (run["masks"] for run in results["dropout"])
    first, second = results["attention dropout"][0]["masks"]
    assert not np.array_equal(first, second)
    assert np.array_equal(masks, same_seed)
    assert len({mask.tobytes() for mask in (*masks, *other_seed)}) == 4


def test_no_learning_rate_is_compiled_into_the_step(results):
    """The step is traced for the first block only, though each step has a rate of its own."""
    if results["name"] == "keras-torch":
        pytest.skip("this engine does not compile the step")
    first, *later = results["transformer"]["traces"]
    assert first
    assert not any(later)


def test_adam_is_accurate_for_beta_near_one(results):
    """With bias correction the first step is one learning rate, whatever beta is."""
    if results["first steps of Adam"] is None:
        pytest.skip("this engine has PyTorch's Adam")
    assert results["first steps of Adam"] == pytest.approx([-0.1] * 4, rel=1e-5)


def test_lower_precisions_stay_near(results, expected):
    for case, single in results["float32"].items():
        half, wanted = results["bfloat16"][case], expected(case)["losses"]
        np.testing.assert_allclose(single["losses"], wanted, rtol=1e-3)
        np.testing.assert_allclose(half["losses"], wanted, rtol=0.05)
        assert np.abs(half["losses"] / single["losses"] - 1).max() > 1e-5
        for result in (single, half):
            arrays = [*result["predictions"].values(), *result["weights"].values(), result["losses"]]
            assert {array.dtype for array in arrays} == {np.dtype("float32")}


def test_an_own_loss_and_optimizer_train_as_those_that_they_repeat(results):
    training_cases.assert_same_training(*results["own code"], 1e-9)


def test_missing_devices_and_other_engines_are_refused_with_the_reason(results):
    assert "sees no GPU" in results["cuda"]
    assert "needs its own process" in results["engine"]


def test_a_bidirectional_layer_imports_no_tensorflow_on_other_engines(results):
    assert results["imports TensorFlow"] == (results["name"] == "keras")


def test_importing_the_plugin_and_making_backends_imports_no_framework():
    code = (
        "import sys, harness_keras as k\n"
        "assert all(k.harness_backend(n).modes for n in ('keras', 'keras-jax', 'keras-torch'))\n"
        "assert k.harness_backend('keras').extra == 'keras'\n"
        "assert k.harness_backend('other') is None\n"
        "assert not {'keras', 'tensorflow', 'jax', 'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
