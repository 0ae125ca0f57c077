"""Data of users and plugins: converted to what backends are promised, or refused with what is expected."""

import msgspec
import numpy as np
import pytest
from support.command import PLUGINS

from harness.layers import Dense, Flatten
from harness.network import Network
from harness.plugins import registry
from harness.plugins.programs import ContractBroken
from harness.spec.data import Dataset, Samples
from harness.spec.task import Adversarial, Regression
from harness.training.splits import fitted

INPUTS = np.zeros((6, 40, 1), np.float32)
CLASSES = np.arange(6)


def mlp(**changes):
    task = registry.task("mlp").define(registry.task("mlp").options())
    return msgspec.structs.replace(task, **changes)


def of(targets, inputs=INPUTS, validation=None):
    samples = Samples(inputs, targets)
    return Dataset("mine", "f" * 64, "made", tuple("0123456789"), samples, samples, validation=validation)


REGRESSION = mlp(objective=Regression(), networks={"model": Network((40, 1), (Flatten(), Dense(2)))})


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", ">i4", "uint64", "int64", "bool"])
def test_classes_become_int64_from_any_integer_type(dtype):
    found = fitted(of((CLASSES % 2).astype(dtype)), mlp())
    assert found.train.targets.dtype == found.test.targets.dtype == np.int64
    assert found.train.targets.tolist() == (CLASSES % 2).tolist()


def test_values_become_floats_and_floats_stay_as_they_are():
    values = np.ones((6, 2), np.float32)
    assert fitted(of(values), REGRESSION).train.targets is values
    assert fitted(of(values.astype(int)), REGRESSION).train.targets.dtype == np.float64


@pytest.mark.parametrize(
    ("task", "data", "words"),
    [
        (mlp(), of(CLASSES + 5), "train has targets from 5 to 10; expected: classes from 0 to 9, because"),
        (mlp(), of(CLASSES - 1), "targets from -1 to 4; expected: classes from 0 to 9"),
        (mlp(), of(CLASSES[:, None]), "targets of shape (6, 1); expected: (n,)"),
        (mlp(), of(CLASSES.astype(float)), "targets of float64; expected: integers"),
        (mlp(), of(CLASSES.astype(str)), "expected: integers"),
        (mlp(), of(CLASSES[:5]), "6 inputs and 5 targets; expected: equal numbers"),
        (mlp(), of(CLASSES, INPUTS[:, :39]), "inputs of shape (6, 39, 1); expected: (n, 40, 1)"),
        (mlp(), of(CLASSES, INPUTS.astype(object)), "inputs of object; expected: numbers"),
        (mlp(), of(CLASSES, validation=Samples(INPUTS, CLASSES + 9)), "mine, validation has targets from 9"),
        (REGRESSION, of(np.ones(6)), "targets of shape (6,); expected: (n, 2)"),
        (REGRESSION, of(np.ones((6, 1))), "targets of shape (6, 1); expected: (n, 2)"),
    ],
)
def test_data_that_does_not_fit_is_reported_with_what_is_expected(task, data, words):
    with pytest.raises(ContractBroken) as caught:
        fitted(data, task)
    assert words in str(caught.value)


def test_pictures_of_adversarial_tasks_need_no_fitting_targets():
    discriminator = Network((40, 1), (Flatten(), Dense(1)))
    task = mlp(objective=Adversarial(8), networks={"discriminator": discriminator})
    assert len(fitted(of(CLASSES - 7), task).train) == 6
    with pytest.raises(ContractBroken, match=r"inputs of shape \(6, 39, 1\)"):
        fitted(of(CLASSES, INPUTS[:, :39]), task)


@pytest.mark.parametrize(
    ("backend", "task", "kind"),
    [
        ("torch", "sorting", "bytes"),
        pytest.param("torch", "fitting", "integers", marks=pytest.mark.slow),
        # The frameworks receive the same converted data.
        *(
            pytest.param(backend, *of, marks=pytest.mark.long)
            for backend in ("keras", "jax")
            for of in (("sorting", "bytes"), ("fitting", "integers"))
        ),
    ],
)
def test_every_framework_trains_on_converted_data(harness, backend, task, kind):
    plugin = str(PLUGINS / "odd_data.py")
    asked = ("--task", task, "--backend", backend, "--no-certify", "--quiet")
    done = harness("run", "--plugin", plugin, *asked, ODD_DATA=kind)
    (record,) = harness.records()
    assert (done.returncode, record["status"]) == (0, "ok"), done.stderr


def test_a_run_on_data_that_does_not_fit_fails_with_the_reason(harness):
    plugin = str(PLUGINS / "odd_data.py")
    asked = ("--task", "sorting", "--backend", "torch", "--no-certify", "--quiet")
    done = harness("run", "--plugin", plugin, *asked, ODD_DATA="from 1")
    (record,) = harness.records()
    assert (done.returncode, record["status"]) == (1, "failed"), done.stderr
    reason = "data set odd, train has targets from 1 to 3; expected: classes from 0 to 2"
    assert reason in record["failure"]["message"]


def texts(**changes):
    task = registry.task("lm").define(registry.task("lm").options())
    tokens = np.arange(6 * 64).reshape(6, 64) % 65
    return task, of(**{"targets": tokens, "inputs": tokens} | changes)


def test_tokens_become_int64():
    task, dataset = texts(inputs=np.full((6, 64), 64, np.uint8))
    assert fitted(dataset, task).train.inputs.dtype == np.int64


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"inputs": np.full((6, 64), 65)},
            "inputs from 65 to 65; expected: tokens from 0 to 64, because its vocabulary has 65",
        ),
        ({"inputs": np.full((6, 64), -1)}, "inputs from -1 to -1; expected: tokens from 0 to 64"),
        ({"inputs": np.zeros((6, 64))}, "inputs of float64; expected: integers"),
        ({"inputs": np.zeros((6, 32), int)}, "inputs of shape (6, 32); expected: (n, 64)"),
        ({"targets": np.full((6, 64), 65)}, "targets from 65 to 65; expected: classes from 0 to 64"),
        ({"targets": np.zeros(6, int)}, "targets of shape (6,), and the network's output is (64, 65)"),
    ],
)
def test_tokens_outside_the_vocabulary_are_refused(changes, words):
    task, dataset = texts(**changes)
    with pytest.raises(ContractBroken) as caught:
        fitted(dataset, task)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
