"""Update rules against PyTorch's optimizers, and the causes that they give."""

import msgspec
import numpy as np
import pytest

from harness.port.causes import optimizers
from harness.port.pairing.matching import Matching
from harness.tracing.calls import Stored
from harness.tracing.side import RATED_STEPS, Update

SGD = {"rule": "sgd", "learning_rate": 0.1, "momentum": 0.9}
ADAM = {"rule": "adam", "learning_rate": 0.1, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
RATES = len(RATED_STEPS)
FALLING = (0.1,) * 10 + (0.01,) * (RATES - 10)
NAMES = ("kernel", "bias", "head")
MATCHING = Matching([], [(Stored(name), Stored(f"other_{name}")) for name in NAMES], [], [])


def causes_of(a, b, **of_head):
    """The causes of two rules; the head of B has other options."""
    of_b = {f"other_{name}": b for name in NAMES}
    of_b["other_head"] = msgspec.structs.replace(b, **of_head)
    return optimizers.causes_of(MATCHING, dict.fromkeys(NAMES, a), of_b)


@pytest.mark.parametrize(
    ("rule", "name", "options"),
    [
        (Update(**SGD), "SGD", {"momentum": 0.9}),
        (Update(**SGD, nesterov=True), "SGD", {"momentum": 0.9, "nesterov": True}),
        (Update(rule="sgd", learning_rate=0.1, decay=0.1, decay_coupled=True), "SGD", {"weight_decay": 0.1}),
        (Update(**ADAM), "Adam", {}),
        (Update(**ADAM, decay=0.1, decay_coupled=False), "AdamW", {"weight_decay": 0.1}),
        (Update(**ADAM, amsgrad=True), "Adam", {"amsgrad": True}),
        (
            Update(rule="rmsprop", learning_rate=0.1, momentum=0.5, beta_2=0.99, epsilon=1e-3),
            "RMSprop",
            {"momentum": 0.5, "eps": 1e-3},
        ),
        (
            Update(rule="rmsprop", learning_rate=0.1, centered=True, beta_2=0.99, epsilon=1e-3),
            "RMSprop",
            {"centered": True, "eps": 1e-3},
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
    (cause,) = causes_of(Update(**ADAM), Update(**ADAM, epsilon_uncorrected=True))
    assert (cause.kind, cause.harmless) == ("epsilon of Adam", True)
    assert 0 < cause.before < 1e-5


def test_coupled_decay_is_a_cause_with_what_it_changes():
    (cause,) = causes_of(*(Update(**ADAM, decay=0.1, decay_coupled=c) for c in (True, False)))
    assert cause.kind == "weight decay"
    assert cause.before > 1e-3


def test_options_without_effect_are_no_cause():
    sgd = {"rule": "sgd", "learning_rate": 0.1}
    assert causes_of(Update(**sgd, momentum=0.0), Update(**sgd, momentum=None)) == []
    assert causes_of(Update(**sgd, nesterov=True), Update(**sgd, nesterov=False)) == []


def test_a_momentum_that_holds_the_rate_shows_when_the_rate_changes():
    holds = {"momentum_holds_rate": True}
    assert causes_of(Update(**SGD), Update(**SGD, **holds)) == []
    (cause,) = causes_of(Update(**SGD, rates=FALLING), Update(**SGD, rates=FALLING, **holds))
    assert (cause.kind, cause.harmless) == ("rate in the momentum", False)
    assert cause.before > 1e-2


def test_rates_are_compared_step_by_step():
    (cause,) = causes_of(Update(**SGD), Update(**SGD, rates=FALLING))
    assert (cause.a, cause.b) == ("learning rate 0.1 at step 11", "learning rate 0.01 at step 11")
    assert causes_of(Update(**SGD), Update(**SGD, rates=(0.1,) * RATES)) == []


def test_clipping_of_each_variable_is_another_one_than_of_all():
    kinds = [Update(**SGD, clip_norm=1.0), Update(**SGD, clip_each_norm=1.0)]
    found = {cause.a.rpartition(" ")[0] for cause in causes_of(*kinds)}
    assert found == {
        "clipping by the norm of all gradients",
        "clipping by the norm of each variable's gradient",
    }
    assert causes_of(kinds[0], kinds[0]) == []


def test_a_clipping_that_fixed_gradients_do_not_reach_is_a_cause():
    (cause,) = causes_of(Update(**SGD), Update(**SGD, clip_norm=1e6))
    assert (cause.a[-5:], cause.b[-6:], cause.harmless) == (" none", " 1e+06", False)


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"learning_rate": 1.0}, "optimizer", "learning rate 1 (×10)"),
        ({"decay": 0.0}, "weight decay", "decay none"),
        ({"rule": "none"}, "optimizer", "rule none"),
    ],
)
def test_a_difference_of_some_parameters_names_them(options, kind, text):
    rule = Update(**ADAM, decay=0.1)
    (cause,) = causes_of(rule, rule, **options)
    assert (cause.kind, cause.path_a, cause.path_b, cause.b) == (kind, "head", "other_head", text)
    (cause,) = causes_of(msgspec.structs.replace(rule, **options), rule, **options)
    assert (cause.path_a, cause.path_b, cause.more) == ("kernel", "other_kernel", ["other_bias"])


@pytest.mark.parametrize(
    "options", [{"accumulation": 64}, {"average": 0.99}, {"average": 0.9, "average_every": 50}]
)
def test_accumulated_gradients_and_averages_are_causes(options):
    causes = causes_of(Update(**ADAM), Update(**ADAM, **options))
    assert causes
    assert all(cause.before > 1e-6 and not cause.harmless for cause in causes)
    assert causes_of(Update(**ADAM, **options), Update(**ADAM, **options)) == []


def test_a_rate_that_differs_after_the_simulated_steps_is_a_cause():
    rates = (0.1,) * (RATES - 1)
    (cause,) = causes_of(Update(**SGD), Update(**SGD, rates=(*rates, 0.01)))
    assert (cause.a, cause.before) == ("learning rate 0.1 at step 1001", None)
    assert causes_of(Update(**SGD), Update(**SGD, rates=rates)) == []


def test_a_convention_of_one_side_is_named_without_the_rule_of_the_other():
    keras, unknown = {"v": Update(**ADAM, epsilon_uncorrected=True)}, {"w": Update("unknown")}
    for before, harmless in ((1e-6, True), (1e-3, False)):
        (cause,) = optimizers.convention_causes(unknown, keras, before)
        assert (cause.kind, cause.b, cause.harmless) == (
            "epsilon of Adam",
            "epsilon before the correction",
            harmless,
        )
    assert optimizers.convention_causes(keras, keras, 1e-6) == []
    assert optimizers.convention_causes(None, {"v": Update(**SGD, momentum_holds_rate=True)}, 1e-6) == []
