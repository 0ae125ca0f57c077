"""Data of users and plugins: converted to what backends are promised, or refused with what is expected."""

import dataclasses
import math
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.command import PLUGINS
from support.tasks import defined

from harness.core.plugins.programs import ContractBroken
from harness.core.training.fitted import fitted
from harness.errors import DataError
from harness.layers import Dense, Flatten
from harness.network import Network
from harness.spec.data import Dataset, Samples, Series
from harness.spec.task import Adversarial, Regression

INPUTS = np.zeros((6, 40, 1), np.float32)
CLASSES = np.arange(6)


def mlp(**changes):
    return msgspec.structs.replace(defined("mlp"), **changes)


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


def named(**facts):
    """Return the data set with these facts."""
    return dataclasses.replace(of(CLASSES), **facts)


def test_facts_of_numpy_become_plain_ones():
    series = Series(np.str_("flow"), "year", np.float32(0.5), np.int64(2), 1.0)
    found = fitted(named(classes=np.array(list("abc")), origin=np.str_("made"), series=series), mlp())
    assert found.classes == ("a", "b", "c")
    assert {type(name) for name in (*found.classes, found.origin)} == {str}
    assert (found.series, type(found.series.scale)) == (Series("flow", "year", 0.5, 2.0, 1.0), float)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"classes": (0, 1)}, "Expected `str`, got `int` - at `$.classes[0]`"),
        ({"classes": np.arange(3)}, "Expected `str`, got `int` - at `$.classes[0]`"),
        ({"classes": "abc"}, "Expected `array`, got `str` - at `$.classes`"),
        ({"classes": None}, "not iterable"),
        ({"classes": ("a", "\udcff")}, "surrogates not allowed"),
        ({"classes": ("a", Path("b"))}, "PosixPath is no value that a record can hold"),
        ({"classes": (b"0", b"1")}, "is no text but bytes"),
        ({"input_divisor": math.nan}, "`$.input_divisor`"),
        ({"input_divisor": 0.0}, "divided by its input_divisor, 0"),
        ({"fingerprint": None}, "`$.fingerprint`"),
        ({"series": Series("flow", "year", math.nan, 0.0, 1.0)}, "`$.series.scale`"),
    ],
)
def test_facts_that_no_record_can_hold_are_refused_before_training(facts, reason):
    with pytest.raises(DataError, match=re.escape(reason)) as refused:
        fitted(named(**facts), mlp())
    assert "\n" not in str(refused.value)


def texts(**changes):
    tokens = np.arange(6 * 64).reshape(6, 64) % 65
    return defined("lm"), of(**{"targets": tokens, "inputs": tokens} | changes)


UNFIT = {
    "too large": (mlp(), of(CLASSES + 5)),
    "negative": (mlp(), of(CLASSES - 1)),
    "columns": (mlp(), of(CLASSES[:, None])),
    "floats": (mlp(), of(CLASSES.astype(float))),
    "words": (mlp(), of(CLASSES.astype(str))),
    "too few": (mlp(), of(CLASSES[:5])),
    "narrow": (mlp(), of(CLASSES, INPUTS[:, :39])),
    "objects": (mlp(), of(CLASSES, INPUTS.astype(object))),
    "validation": (mlp(), of(CLASSES, validation=Samples(INPUTS, CLASSES + 9))),
    "values": (REGRESSION, of(np.ones(6))),
    "one value": (REGRESSION, of(np.ones((6, 1)))),
    "unknown token": texts(inputs=np.full((6, 64), 65)),
    "negative token": texts(inputs=np.full((6, 64), -1)),
    "tokens as floats": texts(inputs=np.zeros((6, 64))),
    "short texts": texts(inputs=np.zeros((6, 32), int)),
    "unknown target": texts(targets=np.full((6, 64), 65)),
    "one target": texts(targets=np.zeros(6, int)),
}


@pytest.mark.parametrize("unfit", UNFIT)
def test_data_that_does_not_fit_is_reported_with_what_is_expected(unfit, snapshot):
    task, data = UNFIT[unfit]
    with pytest.raises(ContractBroken) as caught:
        fitted(data, task)
    assert str(caught.value) == snapshot


def test_tokens_become_int64():
    task, dataset = texts(inputs=np.full((6, 64), 64, np.uint8))
    assert fitted(dataset, task).train.inputs.dtype == np.int64


def test_pictures_of_adversarial_tasks_need_no_fitting_targets():
    discriminator = Network((40, 1), (Flatten(), Dense(1)))
    task = mlp(objective=Adversarial(8), networks={"discriminator": discriminator})
    assert len(fitted(of(CLASSES - 7), task).train) == 6
    with pytest.raises(ContractBroken, match=r"inputs of shape \(6, 39, 1\)"):
        fitted(of(CLASSES, INPUTS[:, :39]), task)


def run_on_odd_data(harness, status, kind, backend="torch", task="sorting"):
    asked = ("--task", task, "--backend", backend, "--no-certify", "--quiet")
    plugin = str(PLUGINS / "odd_data.py")
    return harness.recorded(status, "run", "--plugin", plugin, *asked, ODD_DATA=kind)[0]


@pytest.mark.parametrize(
    ("backend", "task", "kind"),
    [
        ("torch", "sorting", "bytes"),
        # The frameworks receive the same converted data.
        pytest.param("torch", "fitting", "integers", marks=pytest.mark.long),
        pytest.param("keras", "sorting", "bytes", marks=pytest.mark.long),
        pytest.param("jax", "sorting", "bytes", marks=pytest.mark.long),
    ],
)
def test_every_framework_trains_on_converted_data(harness, backend, task, kind):
    run_on_odd_data(harness, "ok", kind, backend, task)


def test_a_run_on_data_that_does_not_fit_fails_with_the_reason(harness):
    record = run_on_odd_data(harness, "failed", "from 1")
    assert "odd, train has targets" in record["failure"]["message"]
