"""What a step moves: factors, and parameters that stay, by name."""

import numpy as np
import pytest

from harness.port.causes.moves import move_causes
from harness.port.pairing.matching import Matching
from harness.tracing.calls import Stored

RNG = np.random.default_rng(0)
NAMES = ("kernel", "bias", "head")
BEFORE = {name: RNG.standard_normal((4, 3)) for name in NAMES}
STEP = {name: 0.01 * RNG.standard_normal((4, 3)) for name in NAMES}
MATCHING = Matching([], [(Stored(name), Stored(f"{name}/B")) for name in NAMES], [], [])


def causes(**of_b):
    """The causes where B moves the named parameters otherwise."""
    after_a = {name: BEFORE[name] + STEP[name] for name in NAMES}
    after_b = {f"{name}/B": BEFORE[name] + of_b.get(name, STEP[name]) for name in NAMES}
    return move_causes(MATCHING, BEFORE, after_a, after_b)


@pytest.mark.parametrize(
    ("move", "a", "b"),
    [
        (10 * STEP["head"], "steps × 1", "steps × 10"),
        ((1 + 2e-6) * STEP["head"], "steps × 1", "steps × 1.000002"),
        (0 * STEP["head"], "moves in step 1", "does not move in step 1"),
    ],
)
def test_a_parameter_that_moves_otherwise_is_named_with_its_factor(move, a, b):
    (cause,) = causes(head=move)
    assert (cause.path_a, cause.path_b, cause.a, cause.b) == ("head", "head/B", a, b)
    assert not cause.harmless


def test_a_factor_of_all_parameters_is_one_of_the_optimizer():
    (cause,) = causes(**{name: 0.5 * step for name, step in STEP.items()})
    assert (cause.path_a, cause.b, cause.more) == ("optimizer", "steps × 0.5", [])


def test_equal_moves_have_no_cause_and_unlike_ones_are_named_with_their_difference():
    assert causes() == []
    (cause,) = causes(head=STEP["head"] - 1e-4 * BEFORE["head"])
    assert (cause.path_b, cause.a, cause.b) == ("head/B", "", "")
    assert 0.0 < cause.before < 0.1
