"""What only the JAX backend does: what its programs compile and share, and what it reports."""

import subprocess
import sys

import msgspec
import numpy as np
import pytest
from support.training_cases import (
    ADAM,
    CLASSES,
    assert_same_training,
    program,
    results,
    samples,
    task,
    trained,
)

from harness.layers import Dense, Dropout
from harness.network import Network
from harness.spec.backend import Steps
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

    for function in (compiled.train_step_of, compiled.predictor_of, compiled.differentiator_of):
        function.cache_clear()


# --- What is compiled ----------------------------------------------------------------------------


def test_a_step_is_compiled_once_and_predictions_of_any_number_of_inputs_three_times():
    case = task(Network((9,), (Dense(16, "relu"), Dropout(0.25), Dense(CLASSES))), optimizer=ADAM)
    _forget_compiled()
    built = program(JAX, case)
    for count in (12, 1, 3, 8):
        built.train(Steps(np.zeros((count, 8), np.int64)))
    assert built._train_step._cache_size() == 1
    for count in (1, 4, 5, 32, 33, 63, 64, 65, 129):
        built.predict(samples(case, count=count).inputs)
    assert built._predictors["model"]._cache_size() == 3


def test_programs_of_the_same_task_share_compiled_code():
    case = msgspec.structs.replace(SMALL, optimizer=ADAM)
    assert program(JAX, case)._train_step is program(JAX, case)._train_step
    other = msgspec.structs.replace(case, optimizer=msgspec.structs.replace(ADAM, beta_1=0.5))
    assert program(JAX, case)._train_step is not program(JAX, other)._train_step
    assert program(JAX, case)._predictors["model"] is program(JAX, other)._predictors["model"]


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
