"""The torch backend's way with a model of the user's own: float64 throughout, and dropout switched off."""

import numpy as np
import pytest

from harness.layers import Native, NativeArray, NativeModel
from harness.network import Network
from harness.spec.backend import Plan, Steps
from harness.spec.data import Samples
from harness.spec.task import Regression, Sgd, Task
from harness.tracing.calls import Stored
from harness_torch import harness_backend

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
DATA = Samples(RNG.normal(size=(12, 6)), RNG.normal(size=(12, 3)))
STEPS = Steps(np.arange(12).reshape(3, 4))
WEIGHTS = {"model/native_1/fc/kernel": RNG.normal(size=(6, 3)), "model/native_1/fc/bias": np.zeros(3)}
CODE = """
import torch
from torch import nn
from torch.nn import functional

class Model(nn.Module):
    def __init__(self, layer, function):
        super().__init__()
        self.fc = nn.Linear(6, 3)
        self.dropout = nn.Dropout(0.5) if layer else nn.Identity()
        self.function = function
        self.shift = torch.linspace(0, 1, 6)

    def forward(self, x):
        x = self.dropout(x.float()) + torch.full((6,), 1 / 3)
        if self.function:
            x = functional.dropout(x, 0.5, self.training)
        return self.fc(x.to(self.fc.weight.dtype))

def make(layer=False, function=False):
    return Model(layer, function)
"""


@pytest.fixture
def program(tmp_path):
    (tmp_path / "own.py").write_text(CODE)

    def make(precision="float64", dropout="none", seed=3, **arguments):
        arrays = (
            NativeArray("fc/kernel", (6, 3), 0.1, {"torch": Stored("fc.weight", axes=(1, 0))}),
            NativeArray("fc/bias", (3,), "zeros", {"torch": Stored("fc.bias")}),
        )
        model = NativeModel("torch", f"{tmp_path / 'own.py'}:make", arguments)
        network = Network((6,), (Native((model,), arrays, (3,), dropout=dropout),))
        task = Task(
            name="own",
            version=1,
            networks={"model": network},
            objective=Regression(),
            optimizer=Sgd(0.1),
            batch_size=4,
            epochs=1,
        )
        backend = harness_backend("torch")
        plan = Plan(task=task, mode="eager", device="cpu", precision=precision, seed=seed, threads=1)
        dtype = np.float64 if precision == "float64" else np.float32
        made = backend.build(plan, Samples(DATA.inputs.astype(dtype), DATA.targets.astype(dtype)))
        made.load(WEIGHTS)
        return made

    return make


def test_a_cast_of_the_users_loses_no_digits_in_float64(program):
    expected = (DATA.inputs + 1 / 3) @ WEIGHTS["model/native_1/fc/kernel"]
    exact = program().predict(DATA.inputs)
    np.testing.assert_allclose(exact, expected, rtol=1e-14, atol=1e-14)
    single = program("float32").predict(DATA.inputs.astype(np.float32))
    assert single.dtype == np.float32
    assert 1e-9 < abs(single - expected).max() < 1e-5


@pytest.mark.parametrize("kind", ["layer", "function"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_dropout_is_switched_off_however_the_code_asks_for_it(program, kind, precision):
    plain = program(precision).train(STEPS)
    np.testing.assert_allclose(program(precision, "off", **{kind: True}).train(STEPS), plain, rtol=1e-6)
    active = [program(precision, "active", seed=seed, **{kind: True}).train(STEPS) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(active[0], active[1])
    assert not np.allclose(active[0], plain, rtol=1e-3)
    assert not np.allclose(active[0], active[2], rtol=1e-3)


def test_training_with_dropout_goes_on_from_a_saved_state(program):
    first = program(dropout="active", function=True)
    first.train(STEPS)
    weights, state = first.weights(), first.training_state()
    expected = first.train(STEPS)
    again = program(dropout="active", function=True)
    again.load(weights)
    again.load_training_state(state)
    np.testing.assert_array_equal(again.train(STEPS), expected)
