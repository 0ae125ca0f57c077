"""Update rules against PyTorch's optimizers, and the causes that they give."""

import numpy as np
import pytest

from harness.port.causes import optimizers
from harness.tracing.side import Update

SGD = {"rule": "sgd", "learning_rate": 0.1, "momentum": 0.9}
ADAM = {"rule": "adam", "learning_rate": 0.1, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
FALLING = [0.1] * 10 + [0.01] * 10


@pytest.mark.parametrize(
    ("rule", "name", "options"),
    [
        (Update(**SGD), "SGD", {"momentum": 0.9}),
        (Update(**SGD, nesterov=True), "SGD", {"momentum": 0.9, "nesterov": True}),
        (Update(rule="sgd", learning_rate=0.1, decay=0.1, decay_coupled=True), "SGD", {"weight_decay": 0.1}),
        (Update(**ADAM), "Adam", {}),
        (Update(**ADAM, decay=0.1, decay_coupled=False), "AdamW", {"weight_decay": 0.1}),
        (
            Update(rule="rmsprop", learning_rate=0.1, momentum=0.5, beta_2=0.99, epsilon=1e-3),
            "RMSprop",
            {"momentum": 0.5, "eps": 1e-3},
        ),
    ],
)
def test_rules_are_those_of_pytorch(rule, name, options):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    weights = torch.tensor(rng.standard_normal(64), requires_grad=True)
    optimizer = getattr(torch.optim, name)([weights], lr=0.1, **options)
    for _ in range(20):
        weights.grad = torch.tensor(rng.standard_normal(64))
        optimizer.step()
    assert np.allclose(optimizers.simulate(rule), weights.detach().numpy(), rtol=1e-10)


def test_where_adam_adds_epsilon_is_harmless():
    (cause,) = optimizers.causes_of(Update(**ADAM), Update(**ADAM, epsilon_uncorrected=True))
    assert (cause.kind, cause.harmless) == ("epsilon of Adam", True)
    assert 0 < cause.before < 1e-5


def test_coupled_decay_is_a_cause_with_what_it_changes():
    (cause,) = optimizers.causes_of(*(Update(**ADAM, decay=0.1, decay_coupled=c) for c in (True, False)))
    assert cause.kind == "weight decay"
    assert cause.before > 1e-3


def test_options_without_effect_are_no_cause():
    sgd = {"rule": "sgd", "learning_rate": 0.1}
    assert optimizers.causes_of(Update(**sgd, momentum=0.0), Update(**sgd, momentum=None)) == []
    assert optimizers.causes_of(Update(**sgd, nesterov=True), Update(**sgd, nesterov=False)) == []


def test_a_momentum_that_holds_the_rate_shows_when_the_rate_changes():
    holds = {"momentum_holds_rate": True}
    assert optimizers.causes_of(Update(**SGD), Update(**SGD, **holds)) == []
    (cause,) = optimizers.causes_of(Update(**SGD, rates=FALLING), Update(**SGD, rates=FALLING, **holds))
    assert (cause.kind, cause.harmless) == ("rate in the momentum", False)
    assert cause.before > 1e-2


def test_rates_are_compared_step_by_step():
    (cause,) = optimizers.causes_of(Update(**SGD), Update(**SGD, rates=FALLING))
    assert (cause.a, cause.b) == ("learning rate 0.1 at step 11", "learning rate 0.01 at step 11")
    assert optimizers.causes_of(Update(**SGD), Update(**SGD, rates=[0.1] * 20)) == []


def test_clipping_of_each_variable_is_another_one_than_of_all():
    kinds = [Update(**SGD, clip_norm=1.0), Update(**SGD, clip_each_norm=1.0)]
    found = {cause.a.rpartition(" ")[0] for cause in optimizers.causes_of(*kinds)}
    assert found == {
        "clipping by the norm of all gradients",
        "clipping by the norm of each variable's gradient",
    }
    assert optimizers.causes_of(kinds[0], kinds[0]) == []
