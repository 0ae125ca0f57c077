"""The harness's own program in NumPy does the work of the references."""

import msgspec
import numpy as np
import pytest

from harness.core.certify.certify import Selection, check, examine
from harness.core.certify.long_calls import long_calls_case
from harness.core.certify.parity import Finding
from harness.core.plugins import registry
from harness.core.reference.layers import forward_all, is_covered
from harness.core.reference.losses import loss_and_gradient
from harness.core.reference.passes import Pass
from harness.core.reference.training import NumpyBackend, refuse_uncovered
from harness.layers import Dense, Dropout, Layer, PlacedLayer
from harness.network import Network
from harness.spec.backend import Unsupported
from harness.spec.task import LOSSES, BinaryClassification, Classification, Regression
from harness.testing.kit import InProcessExaminer

EXAMINER = InProcessExaminer(NumpyBackend(), "plain", 1)
#: The gradients, and a rule for each of the losses of two networks; the other cases are about updates.
FIRST_CASES = Selection(frozenset({"sgd", "default", "nesterov, l2"}))
MLP = long_calls_case(registry.task("mlp")).task


def test_it_is_certified_on_dense_networks():
    findings = check(EXAMINER, registry.task("mlp"))
    assert all(finding.passed for finding in findings), findings


@pytest.mark.parametrize("name", ["cnn", "rnn", "forecast", "gan"])
def test_it_is_certified_on_layers_of_all_kinds(name):
    for case, outcome in examine(EXAMINER, registry.task(name), FIRST_CASES):
        assert isinstance(outcome, Finding), outcome
        assert outcome.passed, (case.name, outcome)


def test_it_declines_what_it_does_not_cover():
    task = msgspec.structs.replace(MLP, networks={"model": Network((4,), (Dense(4), Dropout(0.5), Dense(3)))})
    with pytest.raises(Unsupported, match="no Dropout"):
        refuse_uncovered(task)


def test_a_layer_that_it_does_not_know_is_never_passed_through():
    class Doubled(Layer, frozen=True, tag="doubled"):
        def output_shape(self, shape):
            return shape

    assert not is_covered(Doubled())
    place = PlacedLayer("doubled_1", Doubled(), (4,), (4,))
    with pytest.raises(Unsupported, match="no Doubled"):
        forward_all("model", [place], np.ones((2, 4)), Pass({}))


@pytest.mark.parametrize(
    "objective",
    [
        Classification((0.5, 2.0, 1.5), loss="mse_softmax"),
        Classification(loss="mse_logits"),
        BinaryClassification((0.5, 2.0), "mse_sigmoid"),
        Regression("mae"),
        Regression("huber"),
    ],
    ids=LOSSES,
)
def test_the_gradient_of_a_loss_is_its_slope(objective):
    random = np.random.default_rng(0)
    outputs = 2 * random.standard_normal((6, 1 if isinstance(objective, BinaryClassification) else 3))
    targets = random.standard_normal(outputs.shape)
    if not isinstance(objective, Regression):
        targets = random.integers(0, max(2, outputs.shape[1]), 6)
    gradient, step = loss_and_gradient(objective, outputs, targets)[1], 1e-6
    for place in np.ndindex(outputs.shape):
        moved = np.zeros_like(outputs)
        moved[place] = step
        above, below = (loss_and_gradient(objective, outputs + way * moved, targets)[0] for way in (1, -1))
        assert gradient[place] == pytest.approx((above - below) / (2 * step), rel=1e-6, abs=1e-9)
