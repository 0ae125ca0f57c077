"""Models of the user's own in the JAX backend: the same maths as in torch, their dropout, their faults."""

import subprocess
import sys

import msgspec
import numpy as np
import pytest
from support import native_models
from support.native_models import cnn, mlp, transformer
from support.training_cases import ADAM, MOMENTUM, SGD, assert_near, program, samples, steps, task, trained

from harness.core.worker import saved_state
from harness.spec.backend import Steps, Unsupported
from harness.spec.schedules import CosineDecay
from harness.spec.task import OwnCode, Penalty, Sgd
from harness.tracing.calls import Stored
from harness_jax import harness_backend as jax_plugin
from harness_torch import harness_backend as torch_plugin

# Frameworks start and compile in this process, which a busy machine makes slow.
pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("quick_xla")]

jax = pytest.importorskip("jax")
pytest.importorskip("flax")
torch = pytest.importorskip("torch")

JAX, TORCH = jax_plugin("jax"), torch_plugin("torch")
#: 24 steps, the one of a short last batch among them, which is compiled a second time.
BLOCKS = ((1, 8), (8, 8), (1, 3), (14, 8))
WHOLE_BATCHES = ((1, 8), (23, 8))


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _task(network, optimizer=MOMENTUM, **rules):
    return task(network, optimizer=optimizer, schedule=CosineDecay(), **rules)


def _program(task, backend=JAX, precision="float64", seed=3):
    return program(backend, task, precision=precision, seed=seed)


# --- The same maths ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "optimizer"),
    [
        (cnn("nnx"), MOMENTUM),
        pytest.param(cnn("linen"), ADAM, marks=pytest.mark.long),
        pytest.param(transformer("nnx"), ADAM, marks=pytest.mark.long),
        pytest.param(transformer("jax"), MOMENTUM, marks=pytest.mark.long),
        pytest.param(mlp("nnx"), ADAM, marks=pytest.mark.long),
        (mlp("linen"), MOMENTUM),
        (mlp("jax"), ADAM),
    ],
    ids=["cnn nnx", "cnn linen", "transformer nnx", "transformer jax", "mlp nnx", "mlp linen", "mlp jax"],
)
def test_trains_as_the_same_model_in_torch(network, optimizer):
    task = _task(network, optimizer, penalty=Penalty(l2=0.01), weight_decay=0.1, clip_norm=1.0)
    mine, reference = (_program(task, backend) for backend in (JAX, TORCH))
    shapes = BLOCKS if optimizer is MOMENTUM else WHOLE_BATCHES
    assert_near(trained(mine, task, shapes), trained(reference, task, shapes), 1e-9, "losses")
    expected = reference.weights()
    assert list(mine.weights()) == list(expected) == list(task.weights())
    for name, array in mine.weights().items():
        assert_near(array, expected[name], 1e-9, name)
    inputs = samples(task, count=5).inputs
    assert_near(mine.predict(inputs), reference.predict(inputs), 1e-9, "outputs")


def test_weights_are_read_as_they_were_loaded():
    task = _task(transformer("jax"))
    program = _program(task)
    loaded = {name: np.random.default_rng(1).standard_normal(w.shape) for name, w in task.weights().items()}
    program.load(loaded)
    for name, array in program.weights().items():
        assert array.flags.c_contiguous
        assert np.array_equal(array, loaded[name]), name


def test_a_second_program_shares_the_model_and_continues_from_the_state_of_the_first():
    task = _task(cnn("nnx"), ADAM)
    first, second = _program(task), _program(task)
    assert first._train_step is second._train_step
    shapes = ((3, 8), (4, 8))
    expected = trained(first, task, shapes)
    early, late = (steps(task, shape) for shape in shapes)
    assert np.array_equal(second.train(early), expected[:3])
    assert first._train_step._cache_size() == 1  # however many steps there are
    third = _program(task)
    third.load(second.weights())
    third.load_training_state(second.training_state())
    np.testing.assert_allclose(third.train(late), expected[3:], rtol=1e-12)
    for name, array in third.weights().items():
        np.testing.assert_allclose(array, first.weights()[name], rtol=1e-12)


def test_arrays_that_a_task_does_not_name_are_constants_or_continue_with_the_training():
    task, plain = (_task(mlp("nnx", name=name)) for name in ("make_counting", None))
    program = _program(task)
    inputs = samples(plain).inputs
    np.testing.assert_allclose(program.predict(inputs), _program(plain).predict(inputs + 0.25), rtol=1e-12)
    early, late = (steps(task, shape) for shape in ((3, 8), (4, 8)))
    program.train(early)
    (count,) = (each for name, each in program.training_state().items() if "count" in name)
    assert count == 3
    second = _program(task)
    second.load(program.weights())
    second.load_training_state(program.training_state())
    assert np.array_equal(second.train(late), program.train(late))
    assert list(program.weights()) == list(task.weights())


@pytest.mark.parametrize("form", ["nnx", "linen", "jax"])
def test_an_optimizer_of_optax_trains_as_that_of_the_task_and_continues(form, tmp_path):
    pytest.importorskip("optax")
    (file := tmp_path / "own.py").write_text(
        "import optax\n\ndef make():\n"
        "    return optax.inject_hyperparams(optax.adam)(0.01, b1=0.8, b2=0.95, eps=1e-3)\n"
    )
    expected = _program(described := _task(mlp(form), ADAM))
    code = OwnCode(optimizer=f"{file}:make")
    own = msgspec.structs.replace(_task(mlp(form), Sgd(1.0)), own_code=code)
    first, second = _program(own), _program(own)
    shapes = ((3, 8), (4, 8))
    wanted = trained(expected, described, shapes)
    early, late = (steps(own, shape) for shape in shapes)
    assert_near(first.train(early), wanted[:3], 1e-9, "losses")
    second.load(first.weights())
    second.load_training_state(first.training_state())
    assert_near(second.train(late), wanted[3:], 1e-9, "losses")
    for name, array in second.weights().items():
        assert_near(array, expected.weights()[name], 1e-9, name)


# --- Precision -----------------------------------------------------------------------------------


def _traced(network, precision):
    """The computation of a training step's evaluation, and the next state."""
    from harness_jax.native import native_models

    jax.config.update("jax_enable_x64", precision == "float64")
    model = native_models(network, precision)["native_1"]
    dtype = np.float64 if precision == "float64" else np.float32
    weights = {name: jax.ShapeDtypeStruct(part.shape, dtype) for name, part in model.parts.items()}
    x = jax.ShapeDtypeStruct((4, *network.input_shape), dtype)
    return jax.make_jaxpr(model.evaluated, return_shape=True)(weights, x, jax.random.key(0))


@pytest.mark.slow
def test_single_precision_after_double_is_the_code_as_it_is():
    network = cnn("nnx")
    task = _task(network)
    double = trained(_program(task), task, ((2, 8),))
    single = trained(_program(task, precision="float32"), task, ((2, 8),))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, rtol=1e-5)
    wide, narrow = (str(_traced(network, precision)[0]) for precision in ("float64", "float32"))
    assert "f64[" not in narrow
    assert "f32[" not in wide
    assert len(narrow.splitlines()) != len(wide.splitlines())  # flax has a faster variance of its own


def test_the_arrays_of_a_model_are_no_constants_of_the_compiled_code():
    for network in (cnn("nnx"), cnn("linen"), mlp("jax")):
        traced, _ = _traced(network, "float32")
        assert sum(np.size(each) for each in traced.consts) <= 2, traced.consts


def test_the_state_stays_single_where_a_model_computes_in_half_precision():
    task = _task(cnn("linen"))
    program = _program(task, precision="bfloat16")
    assert trained(program, task, ((1, 8),)).dtype == np.float32
    traced, (_, state) = _traced(task.networks["model"], "bfloat16")
    assert "bf16[" in str(traced)
    assert {array.dtype for array in state.values()} == {np.dtype("float32")}


def test_networks_of_the_tasks_need_no_internals_of_jax():
    code = (
        "import sys\nimport harness_jax.program\n"
        "sys.exit(any(name.startswith('harness_jax.models.float64') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- Dropout -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["nnx", "linen", "jax"])
def test_dropout_follows_the_seed_and_the_step(form):
    still = Steps(np.tile(np.arange(8), (3, 1)), learning_rates=np.zeros(3))  # weights stay as they are
    active = _task(mlp(form, "active"), SGD)
    program = _program(active)
    losses = program.train(still)
    assert len(set(losses)) == 3
    assert np.array_equal(_program(active).train(still), losses)
    assert not np.isin(_program(active, seed=4).train(still), losses).any()
    off = _program(_task(mlp(form, "off"), SGD))
    assert len(set(off.train(still))) == 1
    inputs = samples(active).inputs
    assert np.array_equal(program.predict(inputs), off.predict(inputs))


# --- What it declines ----------------------------------------------------------------------------


def _changed(network, **changes):
    return msgspec.structs.replace(network, layers=(msgspec.structs.replace(network.layers[0], **changes),))


def _model(form, name):
    return (msgspec.structs.replace(mlp("nnx").layers[0].models[1], target=native_models.target(form, name)),)


MLP = mlp("nnx").layers[0]
ELSEWHERE = msgspec.structs.replace(MLP.trained[0], stored={"jax": Stored("elsewhere.kernel")})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"models": MLP.models[:1]}, "the model has code for torch and none for jax"),
        ({"models": _model("nnx", "make_none")}, "has no callable 'make_none'"),
        ({"models": _model("jax", "dict")}, "has no callable 'dict'"),
        ({"models": _model("torch", "Mlp")}, "returned Mlp, and neither a module of flax nor"),
        ({"models": _model("nnx", "make_branching")}, "cannot compile the model of .*TracerBool"),
        ({"models": _model("jax", "make_drawing")}, "needs a random key"),
        ({"trained": MLP.trained[:-1]}, r"new: last.bias \(5,\)"),
        ({"trained": (ELSEWHERE, *MLP.trained[1:])}, "missing: elsewhere.kernel"),
        (
            {"trained": (msgspec.structs.replace(MLP.trained[0], shape=(9, 15)), *MLP.trained[1:])},
            r"of another shape: first.kernel \(9, 16\)",
        ),
        (
            {"trained": (msgspec.structs.replace(MLP.trained[0], stored={}), *MLP.trained[1:])},
            "does not say where jax stores first/kernel",
        ),
        ({"outputs": (6,)}, r"outputs \(5,\) are not those of the task"),
    ],
)
def test_a_model_that_is_not_that_of_the_task_is_declined(changes, reason):
    with pytest.raises(Unsupported, match=reason):
        _program(_task(_changed(mlp("nnx"), **changes)))


def test_a_state_of_bfloat16_is_stored_and_continues_bit_for_bit(tmp_path):
    pytest.importorskip("optax")
    (file := tmp_path / "own.py").write_text(
        "import optax\n\ndef make():\n    return optax.adam(0.01, mu_dtype='bfloat16')\n"
    )
    own = task(mlp("jax"), optimizer=Sgd(1.0), own_code=OwnCode(optimizer=f"{file}:make"))
    first, second = _program(own), _program(own)
    early, late = (steps(own, shape) for shape in ((3, 8), (4, 8)))
    first.train(early)
    held = {name: array for name, array in first.training_state().items() if "mu" in name}
    assert {array.dtype for array in held.values()} == {np.dtype("float32")}
    assert all(array.any() for array in held.values())
    second.train(late)  # a state of its own, which must be replaced
    saved_state.save(first, str(tmp_path / "state.npz"))
    saved_state.restore(second, str(tmp_path / "state.npz"), with_state=True)
    assert np.array_equal(second.train(late), first.train(late))
    for name, array in second.weights().items():
        assert np.array_equal(array, first.weights()[name]), name
