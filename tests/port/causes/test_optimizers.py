"""Options of update rules that differ, and the causes that they give."""

import msgspec
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


def test_coupled_decay_is_a_cause():
    (cause,) = causes_of(*(Update(**ADAM, decay=0.1, decay_coupled=c) for c in (True, False)))
    assert (cause.kind, cause.a, cause.harmless) == ("weight decay", "decay coupled with the gradient", False)


def test_options_without_effect_are_no_cause():
    sgd = {"rule": "sgd", "learning_rate": 0.1}
    assert causes_of(Update(**sgd, momentum=0.0), Update(**sgd, momentum=None)) == []
    assert causes_of(Update(**sgd, nesterov=True), Update(**sgd, nesterov=False)) == []
    assert (
        causes_of(Update(**ADAM), Update(**ADAM, epsilon_uncorrected=True)) == []
    )  # steps show what it does


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


def test_a_clipping_that_no_gradient_reaches_is_a_cause():
    (cause,) = causes_of(Update(**SGD), Update(**SGD, clip_norm=1e6))
    assert (cause.a[-5:], cause.b[-6:], cause.harmless) == (" none", " 1e+06", False)


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"learning_rate": 1.0}, "optimizer", "learning rate 1 (×10)"),
        ({"decay": 0.0}, "weight decay", "decay none"),
        ({"rule": "none", "beta_1": None}, "optimizer", "rule none"),
    ],
)
def test_a_difference_of_some_parameters_names_them(options, kind, text):
    rule = Update(**ADAM, decay=0.1)
    (cause,) = causes_of(rule, rule, **options)
    assert (cause.kind, cause.path_a, cause.path_b, cause.b) == (kind, "head", "other_head", text)
    (cause,) = causes_of(msgspec.structs.replace(rule, **options), rule, **options)
    assert (cause.path_a, cause.path_b, cause.more) == ("kernel", "other_kernel", ["other_bias"])


def test_a_rate_that_differs_late_is_a_cause():
    rates = (0.1,) * (RATES - 1)
    (cause,) = causes_of(Update(**SGD), Update(**SGD, rates=(*rates, 0.01)))
    assert cause.a == "learning rate 0.1 at step 1001"
    assert causes_of(Update(**SGD), Update(**SGD, rates=rates)) == []


def test_a_momentum_that_holds_the_rate_counts_where_the_rate_changes():
    for rates, count in (((), 0), (FALLING, 1)):
        sides = {"v": Update(**SGD, rates=rates)}, {"w": Update(**SGD, rates=rates, momentum_holds_rate=True)}
        assert len(optimizers.convention_causes(*sides, 1e-2)) == count


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
