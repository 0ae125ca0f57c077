"""A backend that breaks the contract: the error names it, the violation and what is expected."""

import re

import numpy as np
import pytest
from support.command import PLUGINS
from support.plugins.contract_breaker import ContractBreaker
from support.tasks import defined

from harness.certify.cases import case_samples
from harness.plugins.faults import explain
from harness.plugins.programs import CheckedProgram, ContractBroken, read_only
from harness.spec.backend import Plan, Program, Steps
from harness.training.initial import initial_weights

RUN = ("run", "--plugin", str(PLUGINS / "contract_breaker.py"), "--task", "mlp", "--quiet")
SHORT = (*RUN, "--max-steps", "3")
VIOLATIONS = [
    "no device",
    "device misspelt",
    "no program",
    "parameter missing",
    "parameter misnamed",
    "parameter misshapen",
    "loss of another shape",
    "loss a tensor",
    "loss of integers",
    "loss in float16",
    "one class too many",
    "outputs flattened",
    "outputs a tensor",
    "state a list",
    "state a tensor",
    "state of objects",
    "state without names",
    "memory in words",
    "memory below zero",
]


def exercised(mode, device="cpu"):
    """A program of which every method was called once, on read-only data as in a worker."""
    task = defined("mlp")
    plan = Plan(task=task, mode=mode, device=device, threads=1, seed=0)
    samples = read_only(case_samples(task))
    program = CheckedProgram(ContractBreaker().build(plan, samples), "breaker", plan)
    program.load(initial_weights(task, 0))
    program.weights()
    program.train(Steps(np.zeros((1, 5), np.int64)))
    program.predict(samples.inputs)
    program.training_state()
    return program


@pytest.mark.parametrize(
    ("mode", "device"),
    [*((mode, "cpu") for mode in VIOLATIONS), pytest.param("none", "cuda", id="another device")],
)
def test_a_violation_is_reported_with_the_backend_and_what_is_expected(mode, device, snapshot):
    with pytest.raises(ContractBroken) as caught:
        exercised(mode, device)
    assert str(caught.value).startswith("backend breaker breaks the contract: ")
    assert str(caught.value) == snapshot


@pytest.mark.parametrize("backend", ["breaker:one class too many", "anonymous"])
def test_a_violation_fails_the_run(harness, snapshot, backend):
    record, _ = harness.recorded("failed", *SHORT, "--no-certify", "--backend", backend)
    assert re.sub(r"\d{2,}", "N", record["failure"]["message"]) == snapshot


def test_a_backend_that_writes_into_the_data_gets_an_error_with_the_remedy():
    with pytest.raises(ValueError, match="read-only") as caught:
        exercised("writes into the data")
    assert "must copy it first" in explain(caught.value)


def test_outputs_that_are_not_finite_are_not_certified(harness):
    record, _ = harness.recorded("diverged", *SHORT, "--backend", "breaker:outputs not finite")
    assert "not finite" in record["certificate"]["reason"]


def test_a_numpy_integer_is_accepted_as_an_int():
    assert exercised("memory in NumPy").device_peak_memory_bytes() == 2**31


def test_a_training_state_is_optional():
    program = exercised("none")
    assert program.training_state() is None
    assert Program.training_state(program) is None
    with pytest.raises(NotImplementedError, match="must load it"):
        Program.load_training_state(program, {})


def test_a_training_state_is_loaded_from_arrays_that_cannot_be_written():
    program = exercised("state")
    state = program.training_state()
    with pytest.raises(ValueError, match="read-only"):
        program.load_training_state(state)
    assert state["m"].tolist() == [0.0]


def test_weights_are_loaded_in_float64_even_if_they_were_returned_in_float32(harness):
    """The weights of the best epoch, here the first, are loaded again at the end."""
    precise = ("--epochs", "2", "--no-certify", "--backend", "breaker:single precision")
    assert harness.recorded("ok", *RUN, *precise)[0]["best_epoch"] == 1


def test_a_backend_without_violations_runs_but_is_not_certified(harness):
    record, _ = harness.recorded("ok", *SHORT, "--backend", "breaker:none")
    assert record["certificate"]["certified"] is False
