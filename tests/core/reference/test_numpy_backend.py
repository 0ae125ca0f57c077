"""The harness's own program in NumPy does the work of the references, and says so of weights that move."""

import re

import msgspec
import numpy as np
import pytest

from harness.core.audit.findings import Deviation, Independent, ScoreDeviation, Verification
from harness.core.audit.updates import LEAST_AGREEMENT, agreements
from harness.core.audit.words import compared_with_numpy, work_fault
from harness.core.certify.certify import Selection, check, examine
from harness.core.certify.long_calls import long_calls_case
from harness.core.certify.parity import Finding
from harness.core.plugins import registry
from harness.core.reference.layers import forward_all, is_covered
from harness.core.reference.losses import loss_and_gradient
from harness.core.reference.passes import Pass
from harness.core.reference.training import NumpyBackend, NumpyProgram, refuse_uncovered
from harness.core.training.initial import initial_weights
from harness.layers import Dense, Dropout, Layer, PlacedLayer
from harness.network import Network
from harness.spec.backend import Steps, Unsupported
from harness.spec.task import LOSSES, Adam, BinaryClassification, Classification, Regression, RmsProp, Sgd
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


class Training:
    """A small task, far enough in its training, whose steps can be altered."""

    def __init__(self, optimizer, decay=0.0, dtype=np.float64, first=100):
        case = long_calls_case(registry.task("mlp"))
        self.task = msgspec.structs.replace(case.task, optimizer=optimizer, weight_decay=decay)
        gradient = msgspec.structs.replace(self.task, optimizer=Sgd(1.0), weight_decay=0.0)
        data, weights = case.data(), initial_weights(self.task, 0)
        self.program, self.gradients = NumpyProgram(self.task, data), NumpyProgram(gradient, data)
        self.program.load(weights)
        self.rows = np.random.default_rng(0).integers(0, len(data.targets), (first + 8, 1, 8))
        self.dtype, self.first = dtype, first
        self.program.train(Steps(self.rows[:first, 0]))

    def weights(self):
        """The weights, to which those of the program are rounded."""
        self.program.load({name: array.astype(self.dtype) for name, array in self.program.weights().items()})
        return self.program.weights()

    def agreement(self, step, rates=()):
        """The least agreement of four steps, of which ``step(program, index, rows)`` makes each."""
        weights, gradients = [self.weights()], []
        for index in range(4):
            rows = self.rows[self.first + index]
            self.gradients.load(weights[-1])
            self.gradients.train(Steps(rows))
            moved = self.gradients.weights()
            gradients.append({name: array - moved[name] for name, array in weights[-1].items()})
            step(self, index, rows)
            weights.append(self.weights())
        precision = np.dtype(self.dtype).name
        shares = agreements(self.task, self.first, weights, gradients, precision, rates)
        return min((share for share in shares if share is not None), default=None)


def honest(training, _index, rows):
    training.program.train(Steps(rows))


def skips(training, index, rows):
    if index % 2:
        training.program.train(Steps(rows))


def stale(training, index, rows):
    training.program.train(Steps(training.rows[training.first + index - index % 2]))


def half(training, _index, rows):
    training.program.train(Steps(rows[:, :4]))


OPTIMIZERS = [Sgd(0.05), Sgd(0.02, 0.9), Sgd(0.02, 0.9, nesterov=True), Adam(0.001), RmsProp(0.001)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("first", [1, 3, 100])
def test_weights_of_an_honest_training_follow_the_gradient(optimizer, decay, first):
    assert Training(optimizer, decay, first=first).agreement(honest) > 0.999999


def test_gradients_that_grow_a_hundredfold_are_followed_too():
    """Adam's second moment, which is not known, then grows by as much within a step."""

    def on_other_data(training, index, rows):
        training.program._inputs = training.inputs * 100.0 ** (index % 2)
        training.gradients._inputs = training.inputs * 100.0 ** ((index + 1) % 2)
        training.program.train(Steps(rows))

    training = Training(Adam(0.03), first=3)
    training.inputs = training.program._inputs
    assert training.agreement(on_other_data) > 0.999999


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_weights_follow_the_gradient_at_the_rates_of_a_schedule(optimizer):
    rates = [optimizer.learning_rate * 0.3**step for step in range(4)]

    def at_its_own_rate(training, index, rows):
        training.program.train(Steps(rows, learning_rates=np.array(rates[index : index + 1])))

    assert Training(optimizer, 0.1).agreement(at_its_own_rate, rates) > 0.99


@pytest.mark.parametrize("rate", [1e-3, 1e-5, 1e-6, 1e-8])
@pytest.mark.parametrize("optimizer", [Sgd, lambda rate: Sgd(rate, 0.9), Adam])
def test_rounding_of_small_steps_is_not_taken_for_a_fault(optimizer, rate):
    agreement = Training(optimizer(rate), dtype=np.float32).agreement(honest)

    assert agreement is None or agreement > LEAST_AGREEMENT


def test_weights_that_do_not_move_at_all_are_found_in_float32():
    nothing = Training(Adam(0.001), dtype=np.float32).agreement(lambda _training, _index, _rows: None)

    assert nothing < LEAST_AGREEMENT


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("step", [skips, stale, half])
def test_steps_without_their_own_gradient_are_found(optimizer, step):
    assert Training(optimizer).agreement(step) < LEAST_AGREEMENT


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            Independent(steps=36, later_steps=8, scored_rows=400),
            "equal in NumPy: the first 36 losses, 8 later gradients, the scores of 400 samples",
        ),
        (Independent(gap="dropout", scored_rows=9), "dropout; equal in NumPy: the scores of 9 samples"),
        (Independent(gap="not covered", detail="no Native"), r"not compared with NumPy: .* \(no Native\)"),
    ],
)
def test_what_was_compared_is_said(found, words):
    assert not found.differs
    assert re.search(words, compared_with_numpy(found))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Independent(deviation=Deviation(3, 2.25, 2.5)), "a loss of 2.25 at step 3, and .* gets 2.5 from"),
        (Independent(unfollowed_step=7, agreement=0.5), "in step 7 only 50% of the gradient"),
        (
            Independent(score=ScoreDeviation("test", "accuracy", 1.0, 0.65)),
            "test accuracy was reported as 1, and the mean over its samples is 0.65",
        ),
        (
            Independent(score=ScoreDeviation("train", "loss", 0.0, 2.5, 17, 9)),
            "the loss of train sample 17 was reported as 0, and .* gets 2.5 from the weights after epoch 9",
        ),
    ],
)
def test_what_differs_is_said(found, words):
    assert found.differs
    assert re.search(words, work_fault(Verification(outcome="differs", independent=found)))


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
