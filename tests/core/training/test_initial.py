"""The initial weights of every backend."""

import numpy as np
import pytest

from harness.core.training.initial import initial_weights
from harness_tasks.cnn import CNN
from harness_tasks.lm import LM
from harness_tasks.resnet import RESNET

TASK = CNN.define(CNN.options())
WEIGHTS = initial_weights(TASK, seed=0)


def test_every_parameter_has_its_shape_in_float64():
    assert list(WEIGHTS) == list(TASK.parameters())
    for name, parameter in TASK.parameters().items():
        assert WEIGHTS[name].shape == parameter.shape
        assert WEIGHTS[name].dtype == np.float64


def test_biases_are_zero():
    biases = [array for name, array in WEIGHTS.items() if name.endswith("/bias")]
    assert len(biases) == 4
    assert not any(array.any() for array in biases)


@pytest.mark.parametrize(
    ("name", "connections"),
    [
        ("model/conv2d_1/kernel", 9 * 3 + 9 * 32),
        ("model/conv2d_2/kernel", 9 * 32 + 9 * 64),
        ("model/dense_1/kernel", 2304 + 128),
        ("model/dense_2/kernel", 128 + 10),
    ],
)
def test_kernels_fill_the_interval_of_glorot_uniform(name, connections):
    limit = np.sqrt(6 / connections)
    kernel = WEIGHTS[name]
    assert np.abs(kernel).max() <= limit
    assert kernel.min() < -0.98 * limit
    assert kernel.max() > 0.98 * limit
    # Five standard errors of the mean and of the second moment of a uniform sample.
    assert abs(kernel.mean()) < 5 * limit / np.sqrt(3 * kernel.size)
    assert abs((kernel**2).mean() / (limit**2 / 3) - 1) < 5 * np.sqrt(0.8 / kernel.size)


def test_a_parameter_depends_only_on_its_name_and_the_seed():
    wider = initial_weights(CNN.define(CNN.options(dropout=0.5, optimizer="adam")), seed=0)
    other = initial_weights(TASK, seed=1)
    for name in (name for name in WEIGHTS if name.endswith("kernel")):
        assert np.array_equal(WEIGHTS[name], wider[name])
        assert not np.isclose(WEIGHTS[name], other[name]).all()


def test_weights_are_pinned():
    # What committed references were made with.
    kernel = WEIGHTS["model/conv2d_1/kernel"]
    uniform = np.array([0.12752824211288305, 0.8085965516709295, 0.6602737794858657, 0.5605926893253323])
    np.testing.assert_allclose(kernel.ravel()[:4], (2 * uniform - 1) * np.sqrt(6 / 315), rtol=1e-15)


def test_normal_kernels_have_the_deviation_that_is_asked_for():
    task = RESNET.define(RESNET.options())
    weights = initial_weights(task, seed=0)
    kernel = weights["model/residual_9/body/conv2d_2/kernel"]  # (3, 3, 64, 64)
    assert abs(kernel.std() / np.sqrt(2 / (9 * 64)) - 1) < 5 / np.sqrt(2 * kernel.size)
    assert abs(kernel.mean()) < 5 * kernel.std() / np.sqrt(kernel.size)
    task = LM.define(LM.options())
    table = initial_weights(task, seed=0)["model/embedding_1/table"]
    assert abs(table.std() / 0.02 - 1) < 5 / np.sqrt(2 * table.size)


def test_normalisation_begins_as_the_identity():
    task = RESNET.define(RESNET.options())
    weights = initial_weights(task, seed=0)
    assert list(weights) == [*task.parameters(), *task.state()]
    ends = {"scale": 1.0, "running_variance": 1.0, "running_mean": 0.0}
    for name, array in weights.items():
        if (last := name.rsplit("/", 1)[1]) in ends:
            assert set(array.tolist()) == {ends[last]}
