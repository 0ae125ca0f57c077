"""The torch backend with the user's own loss and optimizer: those that repeat its own train the same."""

import msgspec
import numpy as np
import pytest
from support.training_cases import CLASSES, program, task

from harness.layers import Dense
from harness.network import Network
from harness.spec.backend import Steps, Unsupported
from harness.spec.schedules import CosineDecay
from harness.spec.task import Classification, OwnCode, Sgd
from harness_torch import harness_backend

torch = pytest.importorskip("torch")

BACKEND = harness_backend("torch")
NETWORK = Network((4,), (Dense(8, "relu"), Dense(CLASSES)))
STEPS = Steps(np.arange(12).reshape(3, 4) % 10, learning_rates=np.array([0.5, 0.25, 0.125]))
CODE = """
import torch
from torch.nn import functional

def loss(outputs, targets):
    return functional.cross_entropy(outputs, targets)

def terms(outputs, targets):
    return functional.cross_entropy(outputs, targets, reduction="none")

def optimizer(parameters):
    return torch.optim.SGD(parameters, lr=0.5, momentum=0.9)

def groups(parameters):
    first, *rest = parameters
    return torch.optim.SGD([{"params": [first], "lr": 1.0}, {"params": rest}], lr=0.5, momentum=0.9)

class Rateless(torch.optim.Optimizer):
    def __init__(self, parameters):
        super().__init__(parameters, {})

    def step(self):
        pass

def none(parameters):
    return "no optimizer"

def broken(parameters):
    raise ValueError("a fault")
"""


@pytest.fixture
def own(tmp_path):
    (path := tmp_path / "own.py").write_text(CODE)

    def code(**names):
        return OwnCode(**{part: f"{path}:{name}" for part, name in names.items()})

    return code


def trained(code=None, optimizer=None, rates=STEPS.learning_rates, **changes):
    described = task(NETWORK, optimizer=optimizer or Sgd(0.5, momentum=0.9))
    described = msgspec.structs.replace(described, own_code=code, **changes)
    made = program(BACKEND, described)
    losses = made.train(Steps(STEPS.indices, learning_rates=rates))
    return losses, made.weights()


def assert_equal(ours, theirs):
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-12)
    for name, array in ours[1].items():
        np.testing.assert_allclose(array, theirs[1][name], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["loss", "terms"])
def test_an_own_loss_that_is_cross_entropy_trains_the_same(own, name):
    other = Classification(loss="mse_logits")  # in place of which it is
    assert_equal(trained(own(loss=name), objective=other), trained())


def test_an_own_optimizer_follows_the_schedule_by_factors_of_its_own_rate(own):
    factors = STEPS.learning_rates / 0.5
    assert_equal(trained(own(optimizer="optimizer"), Sgd(1.0), factors), trained())


def test_each_group_keeps_its_own_rate(own):
    whole = trained(own(optimizer="optimizer"), Sgd(1.0), np.ones(3))[1]
    grouped = trained(own(optimizer="groups"), Sgd(1.0), np.ones(3))[1]
    start = program(BACKEND, task(NETWORK)).weights()
    first = next(iter(whole))
    assert not np.allclose(whole[first] - start[first], grouped[first] - start[first])


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("Rateless", {"schedule": CosineDecay(0.1)}, "has no learning rate in its groups, so no schedule"),
        ("none", {}, "returned str, which is no Optimizer"),
        ("broken", {}, "raised ValueError: a fault"),
        ("missing", {}, "has no callable 'missing'"),
    ],
)
def test_an_optimizer_that_cannot_be_used_is_declined(own, name, changes, message):
    with pytest.raises(Unsupported, match=message):
        trained(own(optimizer=name), Sgd(1.0), **changes)


def test_an_optimizer_without_a_rate_trains_without_a_schedule(own):
    losses, _ = trained(own(optimizer="Rateless"), Sgd(1.0), np.ones(3))
    assert np.isfinite(losses).all()


def test_the_state_of_an_own_optimizer_is_offered(own):
    described = msgspec.structs.replace(
        task(NETWORK, optimizer=Sgd(1.0)), own_code=own(optimizer="optimizer")
    )
    made = program(BACKEND, described)
    made.train(STEPS)
    assert any(name.endswith("momentum_buffer") for name in made.training_state())
