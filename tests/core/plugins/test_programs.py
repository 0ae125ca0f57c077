"""A backend that breaks the contract, or changes the data: the error names it and what is expected."""

import re

import numpy as np
import pytest
from support.command import PLUGINS
from support.plugins.contract_breaker import ContractBreaker
from support.tasks import defined

from harness.core.certify.cases import case_samples, cases
from harness.core.certify.observation import TrialPrograms, observe
from harness.core.plugins import registry
from harness.core.plugins.faults import explain
from harness.core.plugins.programs import CheckedProgram, ContractBroken, read_only
from harness.core.plugins.seal import DataSeal
from harness.core.training.initial import initial_weights
from harness.core.worker import protocol
from harness.core.worker.requests import Worker
from harness.spec.backend import Plan, Program, Steps
from harness.spec.data import Samples

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


def plan_of(mode, device="cpu"):
    return Plan(task=defined("mlp"), mode=mode, device=device, threads=1, seed=0)


def used(program, plan):
    """Call every method once."""
    inputs = case_samples(plan.task).inputs
    program.load(initial_weights(plan.task, 0))
    program.weights()
    program.train(Steps(np.zeros((1, 5), np.int64)))
    program.predict(inputs)
    program.training_state()
    program.synchronize()
    return program


def exercised(mode, device="cpu"):
    """A program that was used, on read-only data as in a worker."""
    plan = plan_of(mode, device)
    built = ContractBreaker().build(plan, read_only(case_samples(plan.task)))
    return used(CheckedProgram(built, "breaker", plan), plan)


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


# A program that changes the data through a pointer is found at its end.

#: The part of the data that each mode changes.
CHANGES = {
    "build writes inputs": "train inputs",
    "train writes inputs": "train inputs",
    "train writes targets": "train targets",
    "predict writes its inputs": "validation inputs",
}


def all_requests(mode):
    """Train, score and measure in a worker in this process."""
    worker = Worker()
    worker._backend = ContractBreaker()
    worker.carry_out(protocol.Build(plan_of(mode), "mnist1d"))
    worker.carry_out(protocol.Train(3))
    worker.carry_out(protocol.Evaluate(["validation"]))
    worker.carry_out(protocol.Measure())


@pytest.mark.parametrize("mode", [mode for mode in CHANGES if not mode.startswith("build")])
def test_a_change_of_the_data_is_found_at_the_end(mode):
    with pytest.raises(ContractBroken, match=f"its program changed the {CHANGES[mode]};"):
        all_requests(mode)


def test_a_program_that_changes_nothing_passes():
    all_requests("none")


def test_a_change_of_the_data_fails_the_run(harness):
    record, _ = harness.recorded("failed", *SHORT, "--no-certify", "--backend", "breaker:train writes inputs")
    assert "changed the train inputs" in record["failure"]["message"]


@pytest.mark.parametrize("mode", ["train writes inputs", "train writes targets"])
def test_a_program_that_changes_its_data_is_not_certified(mode):
    programs = TrialPrograms(ContractBreaker(), mode, 1)
    with pytest.raises(ContractBroken, match=mode.replace("train writes", "changed the training")):
        observe(programs, cases(registry.task("mlp"))[0])


@pytest.mark.parametrize("place", [0, 5, 11])
def test_a_seal_finds_each_changed_value(place):
    samples = Samples(np.zeros((2, 3), np.float32), np.zeros(6, np.int64))
    seal = DataSeal({"training": samples, "other": Samples(np.ones(2), np.ones(2))})
    assert seal.changed() is None
    array, part = (samples.inputs, "training inputs") if place < 6 else (samples.targets, "training targets")
    array.ravel()[place % 6] = 1
    assert seal.changed() == part


def test_a_seal_finds_rows_that_change_places():
    samples = Samples(np.arange(6.0).reshape(2, 3), np.zeros(2))
    seal = DataSeal({"training": samples})
    samples.inputs[:] = samples.inputs[::-1].copy()
    assert seal.changed() == "training inputs"
