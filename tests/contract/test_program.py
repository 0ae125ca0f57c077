"""A program of functions computes what the NumPy reference does, in PyTorch and compiled in JAX."""

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("jax")

import jax
import my_trees_program
from jax import numpy as jnp

from harness.backend_support import feeding
from harness.backend_support.program import Draws, FunctionalProgram
from harness.core.certify.cases import case_samples
from harness.core.reference.training import NumpyBackend
from harness.core.training.batches import BatchOrder
from harness.core.training.initial import initial_weights
from harness.layers import Conv2D, Dense, Dropout, Flatten
from harness.network import Network
from harness.spec import (
    Adam,
    Adversarial,
    Augmentation,
    BinaryClassification,
    Classification,
    Penalty,
    Plan,
    Regression,
    RmsProp,
    Sgd,
    Task,
    Unsupported,
)

pytestmark = pytest.mark.usefixtures("quick_xla")

SAMPLES = 20
LAYERS = {
    Dense: lambda call, x: x @ call.weights["kernel"] + call.weights["bias"],
    Flatten: lambda _, x: x.reshape(len(x), -1),
}
ACTIVATIONS = {"tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid}


class CompiledProgram(FunctionalProgram):
    """In JAX, with a compiled step; no dropout."""

    xp = jnp
    layers, activations = LAYERS, ACTIVATIONS

    def __init__(self, plan, data):
        jax.config.update("jax_enable_x64", plan.precision == "float64")
        super().__init__(plan, data)
        self.step = jax.jit(self.step)

    def draws(self, steps):
        return Draws(self.seed, 0)

    def array(self, values):
        return jnp.array(values)

    def to_numpy(self, array):
        return np.array(array)

    def value_and_grad(self, function, parameters):
        return jax.value_and_grad(function, has_aux=True)(parameters)

    def synchronize(self):
        jax.block_until_ready(self.state)


PROGRAMS = {"torch": my_trees_program.MyTreesProgram, "jax": CompiledProgram}
DENSE = Network((4, 4, 1), (Flatten(), Dense(5, activation="tanh"), Dense(3)))
PLAIN = Task(
    name="plain",
    version=1,
    networks={"model": DENSE},
    objective=Classification(),
    optimizer=Sgd(0.1),
    batch_size=8,
    epochs=2,
)
TASKS = {
    "class weights, both penalties, adam": {
        "objective": Classification((0.5, 2.0, 1.0), 0.1),
        "penalty": Penalty(1e-3, 1e-2),
        "optimizer": Adam(0.01, epsilon=1e-3),
        "weight_decay": 0.1,
    },
    "regression, nesterov, clipping": {
        "objective": Regression(),
        "networks": {"model": Network((6,), (Dense(5, activation="tanh"), Dense(2)))},
        "optimizer": Sgd(0.1, 0.9, nesterov=True),
        "clip_norm": 0.1,
    },
    "binary, rmsprop, crops and flips": {
        "objective": BinaryClassification((0.5, 2.0)),
        "networks": {"model": Network((4, 4, 1), (Flatten(), Dense(5, activation="tanh"), Dense(1)))},
        "optimizer": RmsProp(0.01, epsilon=1e-3),
        "augmentation": Augmentation(flip=True, crop=2),
    },
    "mse_softmax": {"objective": Classification((0.5, 2.0, 1.0), loss="mse_softmax")},
    "mse_logits": {"objective": Classification(loss="mse_logits")},
    "mse_sigmoid": {
        "objective": BinaryClassification((0.5, 2.0), "mse_sigmoid"),
        "networks": {"model": Network((6,), (Dense(5, activation="tanh"), Dense(1)))},
    },
    "mae": {
        "objective": Regression("mae"),
        "networks": {"model": Network((6,), (Dense(5, activation="tanh"), Dense(2)))},
    },
    "huber": {
        "objective": Regression("huber"),
        "networks": {"model": Network((6,), (Dense(5, activation="tanh"), Dense(2)))},
    },
    "adversarial": {
        "objective": Adversarial(3),
        "networks": {
            "generator": Network((3,), (Dense(4, activation="tanh"), Dense(6, activation="sigmoid"))),
            "discriminator": Network((6,), (Dense(4, activation="tanh"), Dense(1))),
        },
        "optimizer": Adam(0.01, beta_1=0.5, epsilon=1e-3),
        "penalty": Penalty(l2=1e-3),
    },
}


def _plan(task, precision="float64"):
    return Plan(task=task, mode="plain", threads=1, seed=3, precision=precision, device="cpu")


def _loaded(build, task):
    program = build(_plan(task), case_samples(task, SAMPLES))
    program.load(initial_weights(task, 0))
    return program


#: Compilation takes seconds, so JAX has the two tasks whose steps differ most.
CASES = [("torch", name) for name in TASKS]
CASES += [("jax", name) for name in ("binary, rmsprop, crops and flips", "adversarial", "huber")]


@pytest.mark.parametrize(("framework", "name"), CASES)
def test_it_computes_what_the_reference_computes(framework, name):
    task = msgspec.structs.replace(PLAIN, **TASKS[name])
    program, reference = _loaded(PROGRAMS[framework], task), _loaded(NumpyBackend().build, task)
    order = BatchOrder.of_task(task, SAMPLES, seed=0)
    for start in range(0, 6, 3):  # the third step has a short batch
        for first, count in ((start, 2), (start + 2, 1)):
            steps = order.steps(first, count)
            np.testing.assert_allclose(program.train(steps), reference.train(steps), rtol=1e-11)
    expected = reference.weights()
    assert program.weights().keys() == expected.keys()
    for parameter, array in program.weights().items():
        np.testing.assert_allclose(array, expected[parameter], rtol=1e-9, atol=1e-12, err_msg=parameter)
    for network, described in task.networks.items():
        inputs = np.random.default_rng(0).random((300, *described.input_shape))
        np.testing.assert_allclose(
            program.predict(inputs, network), reference.predict(inputs, network), rtol=1e-9, atol=1e-12
        )


def test_a_second_program_continues_where_the_first_was():
    network = Network((4, 4, 1), (Flatten(), Dense(8), Dropout(0.5), Dense(3)))
    task = msgspec.structs.replace(PLAIN, networks={"model": network}, optimizer=Adam(0.01))
    order = BatchOrder.of_task(task, SAMPLES, seed=0)
    first = _loaded(PROGRAMS["torch"], task)
    assert first.train(order.steps(0, 2)).shape == (2,)
    second = PROGRAMS["torch"](_plan(task), case_samples(task, SAMPLES))
    second.load(first.weights())
    second.load_training_state(first.training_state())
    expected = first.train(order.steps(2, 1))
    np.testing.assert_array_equal(second.train(order.steps(2, 1)), expected)
    second.load_training_state({**first.training_state(), "steps": np.array(7.0)})
    second.load(first.weights())
    assert second.train(order.steps(3, 1)) != first.train(order.steps(3, 1))  # other masks


def test_the_arrays_keep_the_precision_of_the_plan():
    data = case_samples(PLAIN, SAMPLES)
    data = type(data)(data.inputs.astype(np.float32), data.targets)
    task = msgspec.structs.replace(PLAIN, optimizer=Adam(0.01), clip_norm=1.0, weight_decay=0.1)
    program = PROGRAMS["torch"](_plan(task, "float32"), data)
    program.load(initial_weights(task, 0))
    losses = program.train(BatchOrder.of_task(task, SAMPLES, seed=0).steps(0, 2))
    arrays = [losses, *program.weights().values(), *program.training_state().values()]
    assert {array.dtype for array in arrays} == {np.dtype("float32")}


@pytest.mark.parametrize(
    ("layer", "precision", "reason"),
    [
        (Dense(3), "bfloat16", "only float32 and float64"),
        (Conv2D(2, 3), "float32", "no Conv2D layers"),
        (Dense(3, activation="relu"), "float32", "no activation relu"),
    ],
)
def test_what_is_not_in_the_tables_is_declined(layer, precision, reason):
    task = msgspec.structs.replace(PLAIN, networks={"model": Network((4, 4, 1), (layer,))})
    with pytest.raises(Unsupported, match=reason):
        CompiledProgram.require_supported(_plan(task, precision))


def test_draws_differ_between_uses_and_steps_and_follow_the_seed():
    def seeds(seed, step):
        draws = Draws(seed, step)
        return [draws.seed() for _ in range(3)]

    drawn = [*seeds(0, 0), *seeds(0, 1), *seeds(1, 0)]
    assert len(set(drawn)) == len(drawn)
    assert seeds(1, 0) == drawn[6:]
    assert all(0 <= seed < 2**63 for seed in drawn)


def test_windows_are_cut_from_padded_pictures_then_mirrored():
    pictures = np.random.default_rng(0).random((3, 4, 5, 2))
    crop, offsets, flips = 2, np.array([[0, 4], [3, 1]]), np.array([True, False])
    step = {"indices": np.array([2, 0]), "offsets": offsets, "flips": flips}
    large = feeding.padded_pictures(pictures, crop)
    cut = large[feeding.windows(np.where, step, np.arange(4), np.arange(5))]
    for sample, (row, (top, left), flip) in enumerate(zip([2, 0], offsets, flips, strict=True)):
        window = large[row, top : top + 4, left : left + 5]
        np.testing.assert_array_equal(cut[sample], window[:, ::-1] if flip else window)


@pytest.mark.parametrize(("count", "calls"), [(3, [4]), (4, [4]), (5, [16]), (33, [16, 16, 16])])
def test_predictions_are_made_in_batches_of_few_sizes(count, calls):
    made = []

    def predict(part):
        made.append(len(part))
        return part * 2

    inputs = np.arange(count * 2.0).reshape(count, 2)
    np.testing.assert_array_equal(feeding.predicted(predict, inputs, (4, 16)), inputs * 2)
    assert made == calls


def test_a_state_becomes_a_dictionary_and_back():
    state = {"moments": {"model": {"a/b": (1, 2), "c": ()}}, "steps": 3}
    leaves = feeding.flat(state)
    assert leaves == {"moments/model/a/b/0": 1, "moments/model/a/b/1": 2, "steps": 3}
    assert feeding.nested(leaves, state) == state
