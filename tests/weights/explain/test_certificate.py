"""Gradients by the inputs of frameworks beside exact ones; each planted fault is found."""

import functools

import msgspec
import numpy as np
import pytest
from support.training_cases import TASKS, program, question, task

from harness.core.certify.input_gradients import TOLERANCE, Subject, check_gradients
from harness.core.plugins.programs import CheckedProgram, ContractBroken
from harness.core.reference.training import NumpyBackend, without_dropout
from harness.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, Residual, SelfAttention
from harness.network import Network
from harness.spec.backend import Plan, Program, Unsupported
from harness.weights.explain import attributions
from harness.weights.explain.attributions import integrated_gradients, quadrature

SUPERVISED = {name: one for name, one in TASKS.items() if "model" in one.networks}
#: Square pictures, so that axes can be exchanged without anyone noticing by the shape.
SQUARE = task(
    {
        "model": Network(
            (6, 6, 2),
            (Conv2D(3, 3, "relu"), BatchNorm(), Conv2D(3, 2, "relu"), Flatten(), Dense(4)),
        )
    }
)


EXPLAINED = ("residual", "transformer", "sequences", "classification squashed")


@pytest.mark.parametrize("name", SUPERVISED)
def test_exact_gradients_are_the_slopes_of_the_outputs(name):
    """Of the reference itself, by central differences of what it predicts; for tokens of what it outputs."""
    of = SUPERVISED[name]
    made, (inputs, targets) = program(NumpyBackend(), of), question(of)
    subject = Subject(made, of)
    numbers = subject.numbers(inputs)
    direction = np.random.default_rng(1).standard_normal(numbers.shape)
    gradients, outputs = subject.gradients(numbers, targets)
    ends = [subject.gradients(numbers + step * direction, targets)[1] for step in (1e-6, -1e-6)]
    slopes = (ends[0] - ends[1]) / 2e-6
    assert np.allclose((gradients * direction).reshape(len(slopes), -1).sum(axis=1), slopes, atol=2e-8)
    assert np.allclose(outputs, subject.outputs(inputs)[np.arange(len(inputs)), targets], rtol=1e-12)


@pytest.mark.usefixtures("quick_xla")
@pytest.mark.parametrize(
    ("framework", "keys"),
    [
        ("torch", EXPLAINED),
        ("torch:channels_last", EXPLAINED[:1]),
        ("jax", ("transformer",)),
        pytest.param("jax", EXPLAINED, marks=pytest.mark.long),
    ],
    ids=["torch", "channels last", "jax transformer", "jax"],
)
def test_a_framework_has_the_same_gradients_as_the_reference(framework, keys):
    name, _, mode = framework.partition(":")
    plugin = pytest.importorskip(f"harness_{name}").harness_backend(name)
    pytest.importorskip(name)
    plugin.environment(1)
    for key in keys:
        of = SUPERVISED[key]
        made = program(plugin, of, mode or plugin.modes[0])
        check = check_gradients(made, of, *question(of))
        assert check.passed, (key, check)
        assert check.against == "the NumPy reference"


def faulty(of, fault):
    """The reference with a fault in its gradients; everything else is right."""
    made = program(NumpyBackend(), of)
    made.exact = made.input_gradients
    made.input_gradients = lambda inputs, targets, _network="model": fault(
        made, inputs, targets, *made.exact(inputs, targets)
    )
    return made


def of_the_loss(self, inputs, targets, gradients, outputs):
    """Of the cross-entropy of the chosen class instead of its logit."""
    logits = self.predict(inputs)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    total = -gradients
    for place in range(logits.shape[1]):
        each, _ = self.exact(inputs, np.full(len(inputs), place))
        total = total + shares[:, place].reshape(-1, *[1] * (inputs.ndim - 1)) * each
    return total, outputs


def guided(self, inputs, targets, gradients, outputs):
    return np.maximum(gradients, 0), outputs


def exchanged_axes(self, inputs, targets, gradients, outputs):
    return np.swapaxes(gradients, 1, 2), outputs


def in_training_mode(self, inputs, targets, gradients, outputs):
    """Statistics of the batch instead of the running ones."""
    made = self._training_pass()
    found, backward = self._forward("model", inputs, made)
    chosen = np.zeros_like(found)
    chosen[np.arange(len(inputs)), targets] = 1
    return backward(chosen, {}), found[np.arange(len(inputs)), targets]


def of_another_output(self, inputs, targets, gradients, outputs):
    return self.exact(inputs, (targets + 1) % 4)


def right(self, inputs, targets, gradients, outputs):
    return gradients, outputs


@pytest.mark.parametrize(
    "fault", [of_the_loss, guided, exchanged_axes, in_training_mode, of_another_output, right]
)
def test_faults_of_gradients_are_found(fault):
    inputs, targets = question(SQUARE)
    check = check_gradients(faulty(SQUARE, fault), SQUARE, inputs, targets)
    assert check.passed == (fault is right), check


@pytest.mark.parametrize("fault", [guided, exchanged_axes, of_another_output, right])
def test_without_a_reference_faults_are_found_by_differences(fault, monkeypatch):
    def no_reference(*_arguments):
        raise Unsupported("no Native")

    monkeypatch.setattr("harness.core.certify.input_gradients.NumpyProgram", no_reference)
    inputs, targets = question(SQUARE)
    check = check_gradients(faulty(SQUARE, fault), SQUARE, inputs, targets)
    assert (check.against, check.passed) == ("finite differences", fault is right), check


# Faults of the methods on top of gradients: integrated gradients state their own error.

LINEAR = task({"model": Network((5, 3), (Flatten(), Dense(4)))})


def completeness(numbers=None, **options):
    """The largest error of completeness on a linear network, where the rule is exact."""
    inputs, targets = question(LINEAR)
    subject = Subject(program(NumpyBackend(), LINEAR), LINEAR)
    return float(np.abs(integrated_gradients(subject, inputs, targets, **options).completeness).max())


def test_integrated_gradients_of_a_linear_network_are_complete():
    baseline = np.random.default_rng(2).standard_normal((5, 3))
    assert completeness() < TOLERANCE
    assert completeness(baseline=baseline, nodes=3) < TOLERANCE


def test_one_node_too_few_is_found(monkeypatch):
    monkeypatch.setattr(attributions, "quadrature", lambda nodes: [part[:-1] for part in quadrature(nodes)])
    assert completeness() > 1e-4


def test_a_baseline_that_is_not_subtracted_is_found():
    """The attribution with the input in place of its distance from the baseline."""
    inputs, targets = question(LINEAR)
    subject, baseline = Subject(program(NumpyBackend(), LINEAR), LINEAR), np.full((5, 3), 0.5)
    right = integrated_gradients(subject, inputs, targets, baseline)
    wrong = right.values / (inputs - baseline) * inputs
    explained = right.values.reshape(len(inputs), -1).sum(axis=1) - right.completeness
    assert np.abs(right.completeness).max() < TOLERANCE
    assert np.abs(wrong.reshape(len(inputs), -1).sum(axis=1) - explained).max() > 1e-2


# The contract.


def test_a_program_without_gradients_declines_and_is_named():
    without = program(NumpyBackend(), SQUARE)
    without.input_gradients = functools.partial(Program.input_gradients, without)
    inputs, targets = question(SQUARE)
    plan = Plan(task=SQUARE, mode="eager", threads=1, seed=0, precision="float64")
    checked = CheckedProgram(without, "theirs", plan)
    with pytest.raises(Unsupported, match="backend theirs has no gradients of inputs"):
        checked.input_gradients(inputs, targets)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda *given: given[3], "a tuple of gradients and outputs"),
        (lambda *given: (given[3][:, :2], given[4]), r"shape \(40, 2, 6, 2\)"),
        (lambda *given: (given[3], given[4][:, None]), r"shape \(40, 1\)"),
        (lambda *given: (given[3].astype(int), given[4]), "int64"),
    ],
)
def test_answers_that_break_the_contract_are_refused(fault, message):
    inputs, targets = question(SQUARE)
    plan = Plan(task=SQUARE, mode="eager", threads=1, seed=0, precision="float64")
    checked = CheckedProgram(faulty(SQUARE, fault), "theirs", plan)
    with pytest.raises(ContractBroken, match=message):
        checked.input_gradients(inputs, targets)


def test_dropout_is_left_out_of_the_reference_and_changes_no_name():
    layers = (
        Dense(6, "relu"),
        Dropout(0.5),
        Dense(8),
        Residual((Dropout(0.5), Dense(8))),
    )
    of = task({"model": Network((6,), (*layers, Dense(4)))})
    assert without_dropout(of).weights() == of.weights()
    attention = task({"model": Network((4, 8), (SelfAttention(2, dropout=0.5), Flatten(), Dense(4)))})
    bare = without_dropout(attention)
    assert (bare.weights(), bare.networks["model"].layers[0].dropout) == (attention.weights(), 0.0)
    made = program(pytest.importorskip("harness_torch").harness_backend("torch"), of)
    inputs = np.random.default_rng(0).standard_normal((5, 6))
    assert check_gradients(made, of, inputs, np.arange(5) % 4).passed
    assert msgspec.json.encode(of) != msgspec.json.encode(without_dropout(of))
