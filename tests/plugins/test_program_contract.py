"""A backend that breaks the contract: the error names it, the violation and what is expected."""

import re

import numpy as np
import pytest
from support.command import PLUGINS
from support.plugins.contract_breaker import ContractBreaker

from harness.certify.cases import case_samples
from harness.plugins import registry
from harness.plugins.faults import explain
from harness.plugins.programs import CheckedProgram, ContractBroken, read_only
from harness.spec.backend import Plan, Program, Steps
from harness.training.initial import initial_weights

RUN = (
    "run",
    "--plugin",
    str(PLUGINS / "contract_breaker.py"),
    "--task",
    "mlp",
    "--max-steps",
    "3",
    "--quiet",
)


def exercised(mode, device="cpu"):
    """A program of which every method was called once, on read-only data as in a worker."""
    definition = registry.task("mlp")
    task = definition.define(definition.options())
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
    ("mode", "reason"),
    [
        ("no device", "the program's device is None; expected: 'cpu', or such as 'cuda:0 (NVIDIA H100)'"),
        ("device misspelt", "the program's device is 'gpu:0 (NVIDIA H100)'; expected: 'cpu', or such as"),
        ("no program", "build() returned NoneType; expected: a harness.spec.Program"),
        ("parameter missing", "weights() lacks model/dense_1/bias; expected: every parameter"),
        ("parameter misnamed", "weights() lacks model/dense_1/bias; expected: every parameter"),
        (
            "parameter misshapen",
            "weights() for model/dense_1/bias returned an array of shape (100, 1)",
        ),
        ("loss of another shape", "train() of 1 steps returned an array of shape (1, 1); expected: (1,)"),
        ("loss a tensor", "FrameworkTensor; expected: a NumPy array of shape (1,)"),
        ("loss of integers", "returned an array of int64; expected: floating-point numbers"),
        ("loss in float16", "train() of 1 steps returned losses of float16; expected: float32 or float64"),
        ("one class too many", "predict() of 27 inputs by model returned an array of shape (27, 11)"),
        ("outputs flattened", "returned an array of shape (270,); expected: (27, 10)"),
        ("outputs a tensor", "FrameworkTensor; expected: a NumPy array of shape (27, 10)"),
        ("state a list", "training_state() returned a list; expected: a dictionary of NumPy arrays, or None"),
        ("state a tensor", "FrameworkTensor for m; expected: a dictionary of NumPy arrays, or None"),
        ("state of objects", "training_state() returned an array of object for m; expected: numbers"),
        ("state without names", "training_state() has a int as a key; expected: text"),
        ("memory in words", "device_peak_memory_bytes() returned a str; expected: an int, or None"),
        ("memory below zero", "device_peak_memory_bytes() returned -1; expected: at least 0, or None"),
    ],
)
def test_a_violation_is_reported_with_the_backend_and_what_is_expected(mode, reason):
    with pytest.raises(ContractBroken) as caught:
        exercised(mode)
    assert str(caught.value).startswith("backend breaker breaks the contract: ")
    assert reason in str(caught.value)


def test_a_violation_fails_the_run(harness):
    done = harness(*RUN, "--no-certify", "--backend", "breaker:one class too many")

    (record,) = harness.records()
    assert (record["status"], done.returncode) == ("failed", 1), done.stderr
    reason = r"backend breaker breaks the contract: predict\(\) of \d+ inputs by model returned an array"
    assert re.match(reason, record["failure"]["message"])


def test_a_program_on_another_device_than_requested_is_a_violation():
    with pytest.raises(
        ContractBroken, match="cuda was requested, but the program's device is 'cpu'; expected"
    ):
        exercised("none", "cuda")


def test_an_environment_without_an_engine_fails_the_run(harness):
    done = harness(*RUN, "--no-certify", "--backend", "anonymous")

    (record,) = harness.records()
    assert (record["status"], done.returncode) == ("failed", 1), done.stderr
    reason = (
        "backend anonymous breaks the contract: environment() reports framework, version; expected: the name"
    )
    assert record["failure"]["message"].startswith(reason)


def test_a_backend_that_writes_into_the_data_gets_an_error_with_the_remedy():
    with pytest.raises(ValueError, match="read-only") as caught:
        exercised("writes into the data")
    assert "a backend that changes it must copy it first" in explain(caught.value)


def test_outputs_that_are_not_finite_are_not_certified(harness):
    harness(*RUN, "--backend", "breaker:outputs not finite")

    (record,) = harness.records()
    assert record["status"] == "diverged"
    assert "predict() returned values for model that are not finite" in record["certificate"]["reason"]


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
    run = [word for word in RUN if word not in {"--max-steps", "3"}]
    done = harness(*run, "--epochs", "2", "--no-certify", "--backend", "breaker:single precision")

    (record,) = harness.records()
    assert (record["status"], done.returncode) == ("ok", 0), record["failure"]
    assert record["best_epoch"] == 1


def test_a_backend_without_violations_runs_but_is_not_certified(harness):
    done = harness(*RUN, "--backend", "breaker:none")

    (record,) = harness.records()
    assert (record["status"], done.returncode) == ("ok", 0), done.stdout
    assert record["certificate"]["certified"] is False
