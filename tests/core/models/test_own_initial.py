"""The initial values of a model of one's own: those that its code makes once the run's seed is set."""

import numpy as np
import pytest
from safetensors.numpy import load_file

TORCH = """
import numpy
import torch
from torch import nn

def make():
    first, last = nn.Linear(40, 16), nn.Linear(16, 10)
    nn.init.orthogonal_(first.weight)
    nn.init.constant_(first.bias, 0.25)
    with torch.no_grad():
        last.bias.copy_(torch.from_numpy(numpy.random.rand(10)))
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), last)
"""
KERAS = """
import keras
from keras import layers

def make():
    constant = keras.initializers.Constant(0.25)
    first = layers.Dense(16, "relu", kernel_initializer="orthogonal", bias_initializer=constant)
    return keras.Sequential([keras.Input((40, 1)), layers.Flatten(), first, layers.Dense(10)])
"""
JAX = """
import jax
from flax import linen as nn

def make():
    return nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(16), jax.nn.relu, nn.Dense(10)])
"""
#: Steps at such a rate change no weight.
STILL = ("--max-steps", "1", "--set", "optimizer=gd", "--set", "learning_rate=1e-30", "--threads", "1")


def weights_of_seeds(harness, code):
    (harness.folder / "net.py").write_text(code)
    run = ("run", "--model", "net.py:make", "--dataset", "mnist1d", "--seeds", "2", "--save-weights")
    harness.ok(*run, *STILL)
    return [load_file(path) for path in sorted((harness.folder / "results").rglob("*-last.safetensors"))]


@pytest.mark.parametrize(
    ("module", "code"),
    [
        pytest.param("torch", TORCH, marks=pytest.mark.slow),
        pytest.param("keras", KERAS, marks=pytest.mark.long),
    ],
)
def test_training_begins_with_the_values_of_the_code(harness, module, code):
    pytest.importorskip(module)
    one, other = weights_of_seeds(harness, code)
    for weights in (one, other):
        (kernel,) = (array for array in weights.values() if array.shape == (40, 16))
        (bias,) = (array for array in weights.values() if array.shape == (16,))
        np.testing.assert_allclose(kernel.T @ kernel, np.eye(16), atol=1e-5)
        assert (bias == 0.25).all()
    if module == "torch":  # as a script does that sets the seed
        import torch

        made = {}
        exec(TORCH, made)  # noqa: S102
        for seed, weights in enumerate((one, other)):
            torch.manual_seed(seed)
            kernel = made["make"]()[1].weight.detach().numpy()
            assert any(np.array_equal(array, kernel.T) for array in weights.values())
    drawn = [name for name, array in one.items() if np.ptp(array) > 0]
    assert drawn
    assert not any(np.array_equal(one[name], other[name]) for name in drawn)


@pytest.mark.long
def test_where_code_states_keys_the_harness_draws_for_each_seed(harness):
    pytest.importorskip("flax")
    one, other = weights_of_seeds(harness, JAX)
    (kernel,) = (name for name, array in one.items() if array.shape == (40, 16))
    assert not np.array_equal(one[kernel], other[kernel])
