"""Training steps of two sides: what is compared, what is made equal, and what rounding hides."""

from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from harness.port.pairing.matching import Matching
from harness.port.record import Cause
from harness.port.steps import TrainingSteps
from harness.tracing.calls import Stored
from harness.tracing.side import Trained, Update

NAMES = ("kernel", "bias")
MATCHING = Matching([], [(Stored(name), Stored(name)) for name in NAMES], [], [])
ADAM = Update("adam", 0.1, beta_1=0.9, beta_2=0.999, epsilon=1e-8)


class Side:
    """Descends on the gradient of the distance to each batch; ``step`` gives the move of a parameter.

    ``convention`` is a factor of all moves unless the sides are aligned.
    """

    def __init__(self, step, convention=1.0, chaos=0.0):
        self.step, self.convention, self.chaos = step, convention, chaos
        self.held = {name: np.linspace(0.5, 1.5, 4) for name in NAMES}
        self.asked = []

    def describe(self):
        return SimpleNamespace(parameters=dict(self.held), trained=[*self.held], updates=None)

    def load(self, parameters):
        self.held |= parameters

    def train(self, batches, _loss, *, output, aligned, held):
        self.asked.append((len(batches), aligned))
        values, losses = {name: array.copy() for name, array in self.held.items()}, []
        for number, batch in enumerate(batches, 1):
            losses.append(1.0 + sum(float(((array - batch) ** 2).sum()) for array in values.values()))
            for name in NAMES:
                move = self.step(name, values[name] - batch, number)
                moved = values[name] - move * (1.0 if aligned else self.convention)
                # This grows with each rounding.
                values[name] = moved + (moved - np.round(moved, 9)) * self.chaos**number
        return Trained(losses, values)


def compared(a, b, rules=(None, None), causes=(), steps=20):
    """The steps of two sides, one after the other."""
    sides = SimpleNamespace(a=a, b=b, both=lambda call: (call(a), call(b)))
    batches = np.random.default_rng(0).standard_normal((steps, 4))
    return TrainingSteps(sides, MATCHING, rules, "mse", "", ({}, {})).compare(batches, causes)


def descent(_, gradient, __):
    return 0.1 * gradient


def test_equal_sides_train_the_same():
    found = compared(Side(descent), Side(descent))
    assert (found.steps, found.causes, found.reason) == (20, [], "")
    assert [part.what for part in found.compared] == ["losses of 20 steps", "parameters after 20 steps"]


@pytest.mark.parametrize("options", [{}, {"convention": 1 + 1e-6}])
def test_a_small_difference_of_one_parameter_is_seen_behind_a_harmless_one(options):
    placed = msgspec.structs.replace(ADAM, epsilon_uncorrected=bool(options))
    rules = dict.fromkeys(NAMES, ADAM), dict.fromkeys(NAMES, placed)
    tiny = 1e-4 * 1e-4  # of a rate and a decay

    def decaying(name, gradient, step):
        return descent(name, gradient, step) + (tiny if name == "bias" else 0.0) * 1.5

    found = compared(Side(descent), Side(decaying, **options), rules)
    assert found.steps == 0
    (cause,) = found.causes
    assert (cause.harmless, cause.path_b) == (False, "bias")
    assert compared(Side(descent), Side(descent, **options), rules).steps == 20


@pytest.mark.parametrize(("share", "harmless"), [(1e-6, True), (0.01, False)])
def test_a_convention_is_tried_where_one_sides_rules_are_unknown(share, harmless):
    unknown = dict.fromkeys(NAMES, Update("unknown"))
    placed = dict.fromkeys(NAMES, msgspec.structs.replace(ADAM, epsilon_uncorrected=True))
    b = Side(descent, convention=1 + share)
    found = compared(Side(descent), b, (unknown, placed))
    assert (20, True) in b.asked
    assert [(cause.kind, cause.harmless) for cause in found.causes] == [("epsilon of Adam", harmless)]
    assert found.steps == 20
    assert found.compared[0].what == "losses of 20 steps (epsilon of Adam aligned)"


def test_the_factor_of_a_parameter_is_measured():
    def tenfold(name, gradient, step):
        return descent(name, gradient, step) * (10.0 if name == "bias" else 1.0)

    (cause,) = compared(Side(descent), Side(tenfold)).causes
    assert (cause.path_b, cause.b) == ("bias", "steps × 10")


def test_steps_that_move_nothing_show_nothing():
    def late(_, gradient, step):
        return descent(_, gradient, step) * (step == 30)

    found = compared(Side(late), Side(late))
    assert (found.steps, found.reason) == (0, "no parameter moves in 20 steps; give more: --steps")
    assert compared(Side(late), Side(late), steps=31).steps == 31
    assert compared(Side(late), Side(descent)).steps == 0


def test_steps_that_rounding_hides_are_left_out():
    def other(name, gradient, step):
        return descent(name, gradient, step) * (1 + 1e-13)

    found = compared(Side(descent, chaos=12.0), Side(other, chaos=12.0))
    assert 0 < found.steps < 20
    assert all(part.equal for part in found.compared)
    assert found.compared[1].what == f"parameters after {found.steps} steps"


def test_an_explained_difference_has_no_further_cause():
    loss = Cause.at("loss", "loss", "loss", "averaged", "summed")
    found = compared(Side(descent), Side(lambda *given: 2 * descent(*given)), causes=[loss])
    assert (found.steps, found.causes) == (0, [])
