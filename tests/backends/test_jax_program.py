"""What only the JAX backend does: its forms of a convolution, and what its programs compile and share."""

import re
import subprocess
import sys

import msgspec
import numpy as np
import pytest
from support.training_cases import (
    ADAM,
    CLASSES,
    CONVOLUTIONS,
    TASKS,
    assert_same_training,
    program,
    results,
    samples,
    steps,
    task,
    trained,
)

from harness.layers import Conv2D, ConvTranspose2D, Dense, Dropout
from harness.network import Network
from harness.spec.backend import Steps
from harness.spec.schedules import CosineDecay
from harness.spec.task import Classification, OwnCode
from harness_jax import harness_backend

# Frameworks start and compile in processes of their own, which a busy machine makes slow.
pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("quick_xla")]

jax = pytest.importorskip("jax")

# environment() is not called here: it would narrow the processors of the whole test run.
JAX = harness_backend("jax")
SMALL = task(Network((9,), (Dense(6, "relu"), Dense(CLASSES))))


def _forget_compiled():
    from harness_jax import compiled  # imports JAX

    for function in (compiled._block_of, compiled.predictor_of, compiled.differentiator_of):
        function.cache_clear()


# --- Convolutions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batch", "size", "strides", "padding"),
    [
        (2, 3, 2, 1),
        pytest.param(8, 1, 2, 0, marks=pytest.mark.long),
        (8, 3, 1, "same"),  # summed in four parts of the batch
        pytest.param(3, 3, 1, 1, marks=pytest.mark.long),
        pytest.param(2, 3, 2, "same", marks=pytest.mark.long),
        pytest.param(2, 3, 3, "valid", marks=pytest.mark.long),
    ],
)
def test_all_forms_of_a_convolution_agree(batch, size, strides, padding):
    from harness_jax import convolutions

    jax.config.update("jax_enable_x64", True)
    random = np.random.default_rng(1)
    layer = Conv2D(9, size, strides=strides, padding=padding)
    shape = (8, 11, 3)
    x = random.standard_normal((batch, *shape))
    kernel = random.standard_normal((size, size, 3, 9))
    seed = random.standard_normal((batch, *layer.output_shape(shape)))
    found = []
    for form in ("xla_convolution", "ordered_convolution", "cpu_convolution", "matmul_convolution"):
        both = convolutions.Convolutions(getattr(convolutions, form), None)
        y, back = jax.vjp(lambda x, k, both=both: both.convolve(layer, shape, x, k), x, kernel)
        found.append((y, *back(seed)))
    for arrays in found[1:]:
        for actual, expected in zip(arrays, found[0], strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kernel_size", "strides"), [(4, 2), pytest.param(5, 3, marks=pytest.mark.long)])
def test_both_forms_of_a_transposed_convolution_agree(kernel_size, strides):
    from harness_jax import convolutions

    jax.config.update("jax_enable_x64", True)
    random = np.random.default_rng(1)
    layer = ConvTranspose2D(4, kernel_size, strides)
    x = random.standard_normal((2, 3, 5, 3))
    kernel = random.standard_normal((kernel_size, kernel_size, 3, 4))
    seed = random.standard_normal((2, *layer.output_shape((3, 5, 3))))
    (y, back), (expected, expected_back) = (
        jax.vjp(lambda x, k, form=form: form(layer, x, k), x, kernel)
        for form in (convolutions.matmul_transposed, convolutions.xla_transposed)
    )
    for actual, wanted in zip((y, *back(seed)), (expected, *expected_back(seed)), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-12, atol=1e-12)


def test_convolutions_on_the_cpu_have_the_fast_order_of_axes():
    # In another order the cnn's step takes ten times as long; see harness_jax.convolutions.
    case = task(CONVOLUTIONS)
    built = program(JAX, case, precision="float32")
    (_, draws), *_ = built._calls(steps(case, (1, 8)))
    compiled = built._train_block.lower(built._state, built._given, draws, np.int32(1)).compile()
    convolutions = re.findall(r" convolution\(.*?dim_labels=([\w>-]+)", compiled.as_text())
    assert set(convolutions) == {"b01f_01io->b01f"}
    assert "rhs_reversal" not in compiled.as_text()


# --- What is compiled ----------------------------------------------------------------------------


def test_blocks_of_any_length_are_compiled_once_and_inputs_of_any_number_three_times():
    case = task(Network((9,), (Dense(16, "relu"), Dropout(0.25), Dense(CLASSES))), optimizer=ADAM)
    _forget_compiled()
    built = program(JAX, case)
    for count in (12, 1, 3, 8):  # the first makes more than one call of the loop
        built.train(Steps(np.zeros((count, 8), np.int64)))
    assert built._train_block._cache_size() == 1
    for count in (1, 4, 5, 32, 33, 63, 64, 65, 129):
        built.predict(samples(case, count=count).inputs)
    assert built._predictors["model"]._cache_size() == 3


def test_programs_that_compute_the_same_share_compiled_code():
    case = msgspec.structs.replace(SMALL, optimizer=ADAM)
    renamed = msgspec.structs.replace(case, name="another", epochs=7)
    assert program(JAX, case)._train_block is program(JAX, renamed)._train_block
    other = msgspec.structs.replace(case, optimizer=msgspec.structs.replace(ADAM, beta_1=0.5))
    assert program(JAX, case)._train_block is not program(JAX, other)._train_block
    assert program(JAX, case)._predictors["model"] is program(JAX, other)._predictors["model"]


@pytest.mark.long
def test_rates_decay_and_rules_of_labels_are_data():
    case = TASKS["transformer"]
    other = msgspec.structs.replace(
        case,
        optimizer=msgspec.structs.replace(case.optimizer, learning_rate=0.5),
        objective=Classification(tuple(range(1, 12)), label_smoothing=0.1),
        weight_decay=0.0,
        schedule=CosineDecay(0.1, 3),
    )
    programs = program(JAX, case), program(JAX, other)
    assert programs[0]._train_block is programs[1]._train_block
    compiled = [programs[0]._train_block._cache_size()]
    losses = []
    for built in programs:
        losses.append(trained(built, case, ((2, 8),)))
        trained(built, case, ((3, 8),))
        compiled.append(programs[0]._train_block._cache_size())
    assert compiled[2] == compiled[1] <= compiled[0] + 1
    assert not np.allclose(*losses)
    clipped_later = msgspec.structs.replace(case, clip_norm=2.0)
    assert program(JAX, clipped_later)._train_block is not programs[0]._train_block


def test_programs_of_two_precisions_do_not_disturb_each_other():
    expected = trained(program(JAX, SMALL), SMALL)
    double, single = program(JAX, SMALL), program(JAX, SMALL, precision="float32")
    found = []
    for block in ((1, 8), (4, 8), (2, 8), (1, 3)):
        found.append(trained(double, SMALL, (block,)))
        assert trained(single, SMALL, (block,)).dtype == np.float32
    assert np.array_equal(np.concatenate(found), expected)


# --- Environment ---------------------------------------------------------------------------------

ENVIRONMENT = """
import sys
from harness_jax import harness_backend
backend = harness_backend("jax")
assert "jax" not in sys.modules
reported = backend.environment(1)
import jax
assert jax.config.jax_default_matmul_precision == "highest"
assert reported["engine"] == "jax" and reported["jax"] == jax.__version__ and reported["jaxlib"], reported
"""


def test_the_environment_is_reported():
    done = subprocess.run(
        [sys.executable, "-c", ENVIRONMENT], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


OWN_LOSS = """
import jax

def loss(outputs, targets):
    logs = jax.nn.log_softmax(outputs)
    return -jax.numpy.take_along_axis(logs, targets[:, None], axis=-1)
"""


@pytest.mark.slow
def test_an_own_loss_trains_as_the_one_that_it_repeats(tmp_path):
    (file := tmp_path / "own.py").write_text(OWN_LOSS)
    other = Classification(loss="mse_logits")
    own = msgspec.structs.replace(SMALL, objective=other, own_code=OwnCode(loss=f"{file}:loss"))
    assert_same_training(results(program(JAX, own), own), results(program(JAX, SMALL), SMALL), 1e-12)
