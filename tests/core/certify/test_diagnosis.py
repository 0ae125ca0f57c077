"""Diagnosis compares failed cases with those that passed, and names what only the failed ones have."""

import msgspec
import numpy as np
import pytest

from harness.core.certify.cases import cases
from harness.core.certify.diagnosis import diagnosed
from harness.core.certify.digests import digest
from harness.core.certify.observation import Observation
from harness.core.certify.parity import Finding, compare
from harness.core.plugins import registry
from harness.spec.task import Adam, RmsProp, Sgd

ARRAY = np.arange(1.0, 7.0).reshape(2, 3)
LOSSES = [[2.0], [1.0], [0.5]]


def after(task, wrong):
    """The findings of all cases, of which those that satisfy ``wrong`` deviate."""
    found = cases(registry.task(task))
    findings = [
        Finding(case.name, 1.0, "off: transposed", deviation="off")
        if wrong(case)
        else Finding(case.name, 0.0, "")
        for case in found
    ]
    return [finding for finding in diagnosed(findings, found) if not finding.passed]


def _crops_and_flips(case):
    return case.task.augmentation.crop and case.task.augmentation.flip


@pytest.mark.parametrize(
    ("task", "wrong", "words"),
    [
        ("mlp", lambda case: case.task.penalty.l2, "look at the L2 factor"),
        ("mlp", lambda case: case.task.penalty.l1, "look at the L1 penalty"),
        ("mlp", lambda case: case.name == "class weights", "look at the divisor of the class weights"),
        (
            "cnn",
            _crops_and_flips,
            "look at the order of crops and flips",
        ),
        ("mlp", lambda case: isinstance(case.task.optimizer, Adam), "Adam's update"),
        ("mlp", lambda case: isinstance(case.task.optimizer, RmsProp), "RMSprop's update"),
        ("mlp", lambda case: getattr(case.task.optimizer, "nesterov", False), "Nesterov's form"),
        ("cnn", lambda case: case.flat_square is not msgspec.UNSET, "pooling where values are equal"),
    ],
)
def test_what_only_the_failed_cases_have_is_named(task, wrong, words):
    failed = after(task, wrong)
    assert failed
    for finding in failed:
        assert words in finding.explanation
        assert "transposed" not in finding.explanation


def test_a_fault_of_the_plain_case_is_in_what_all_share():
    assert {finding.explanation for finding in after("mlp", lambda _: True)} == {"off: transposed"}


def test_a_certain_cause_stays():
    certain = Finding("class weights", 1.0, "exactly 8 times")
    found = cases(registry.task("mlp"))
    passed = [Finding(case.name, 0.0, "") for case in found if case.name != certain.case]
    assert diagnosed([*passed, certain], found)[-1] == certain


@pytest.mark.parametrize(
    ("optimizer", "epsilon"),
    [(Sgd(0.1), False), (Sgd(0.1, 0.9), False), (Adam(0.1), True), (RmsProp(0.1), True)],
)
def test_only_optimizers_that_have_an_epsilon_suggest_it(optimizer, epsilon):
    expected = Observation(LOSSES, {}, {}, {})
    observed = Observation([*LOSSES[:-1], [0.6]], {}, {}, {})
    assert ("epsilon" in compare("case", observed, expected, optimizer).explanation) is epsilon


@pytest.mark.parametrize(
    ("names", "words"), [(["a"], "the gradient of a"), (["a", "b"], "the gradients of a")]
)
def test_gradients_agree_in_number(names, words):
    def made(scale):
        arrays = {name: digest(scale * ARRAY) for name in names}
        return Observation(LOSSES, arrays, {}, {})

    text = compare("case", made(1.1), made(1.0)).explanation
    assert words in text
    assert ("does not" in text) is (len(names) == 1)
