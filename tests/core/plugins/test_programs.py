"""A backend that breaks the contract, or changes the data: the error names it and what is expected."""

import ctypes
import os
import re
import signal
import subprocess
import sys

import msgspec
import numpy as np
import pytest
from support.command import PLUGINS
from support.plugins.contract_breaker import ContractBreaker
from support.tasks import defined

from harness.core.certify.cases import case_samples
from harness.core.machine.read_only import is_mapped, read_only_array
from harness.core.plugins.faults import explain
from harness.core.plugins.programs import CheckedProgram, ContractBroken, read_only
from harness.core.plugins.seal import DataSeal, WatchedProgram
from harness.core.training.initial import initial_weights
from harness.core.worker import protocol
from harness.core.worker.requests import Worker
from harness.core.worker.session import explained
from harness.errors import WorkerLost
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


# A program cannot change the data behind the harness's back: the run fails and names the call.


#: The call that the change is found in, and the part that it changes.
CHANGES = {
    "build writes inputs": ("build()", "training inputs"),
    "train writes inputs": ("train() of 1 steps", "training inputs"),
    "train writes targets": ("train() of 1 steps", "training targets"),
    "predict writes inputs": ("predict() of 27 inputs by model", "training inputs"),
    "predict writes its inputs": ("predict() of 27 inputs by model", "inputs that it was given"),
}
linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is mapped read-only on Linux alone")


def watched(mode):
    """As a certificate has it."""
    plan = plan_of(mode)
    used(WatchedProgram(ContractBreaker(), plan, case_samples(plan.task)), plan)


@pytest.mark.parametrize("mode", CHANGES)
def test_a_change_in_a_certificate_names_the_call(mode):
    call, part = CHANGES[mode]
    with pytest.raises(ContractBroken) as caught:
        watched(mode)
    violation = f"{call} changed the {part}; expected: that it copies what it changes"
    assert str(caught.value) == f"backend breaker breaks the contract: {violation}"


def test_a_program_that_changes_nothing_passes():
    watched("none")


@linux
@pytest.mark.parametrize(
    # Certificates have each of them above, in this process.
    "mode",
    [mode if " its " in mode else pytest.param(mode, marks=pytest.mark.long) for mode in CHANGES],
)
def test_a_change_in_a_run_fails_it_and_names_the_call(harness, mode):
    record, _ = harness.recorded("failed", *SHORT, "--no-certify", "--backend", f"breaker:{mode}")
    assert record["failure"]["signal"] == "SIGSEGV"
    assert f"in {mode.partition(' ')[0]}(); writing into the data" in record["failure"]["message"]


@pytest.mark.parametrize(
    ("signal_name", "asked"),
    [
        ("SIGSEGV", protocol.Train(1)),
        ("SIGBUS", protocol.Evaluate(["test"])),
        ("SIGSEGV", protocol.Describe("torch", 1)),
        ("SIGKILL", protocol.Train(1)),
        ("SIGSEGV", None),
        ("SIGSEGV", protocol.Operate("package.module:operation", msgspec.Raw(b"{}"))),
    ],
)
def test_only_a_forbidden_write_in_a_call_is_explained(signal_name, asked, snapshot):
    lost = explained(WorkerLost(f"the worker process was killed by {signal_name}", None, signal_name), asked)
    assert (str(lost), lost.signal_name) == (snapshot, signal_name)


@linux
def test_the_protection_cannot_be_lifted(harness):
    words = ("--no-certify", "--backend", "breaker:lifts the protection")
    record, _ = harness.recorded("failed", *SHORT, *words)
    assert "cannot set WRITEABLE flag" in record["failure"]["message"]


@linux
def test_a_certificate_of_a_program_that_changes_its_inputs_is_refused(harness):
    harness(*SHORT, "--backend", "breaker:predict writes its inputs")
    (record,) = harness.records()
    assert not record["certificate"]["certified"]
    assert "changed the inputs" in record["certificate"]["reason"]


# --- Where the system offers no such memory ------------------------------------------------------


@pytest.fixture
def unprotected(monkeypatch):
    def refuse(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "memfd_create", refuse, raising=False)


def worker_of(mode):
    """A worker in this process whose program was built."""
    worker = Worker()
    worker._backend = ContractBreaker()
    worker.carry_out(protocol.Build(plan_of(mode), "mnist1d"))
    return worker


@pytest.mark.parametrize(
    ("mode", "part"),
    [
        ("build writes inputs", "train inputs"),
        ("train writes inputs", "train inputs"),
        ("train writes targets", "train targets"),
        ("predict writes its inputs", "validation inputs"),
    ],
)
def test_a_change_of_unprotected_data_is_found_by_its_checksum(unprotected, mode, part):
    with pytest.raises(ContractBroken, match=rf"{mode.partition(' ')[0]}\(\) changed the {part}"):
        all_requests(mode)


def all_requests(mode):
    worker = worker_of(mode)
    worker.carry_out(protocol.Train(3))
    worker.carry_out(protocol.Evaluate(["validation"]))
    worker.carry_out(protocol.Measure())
    return worker


def test_a_duel_which_scores_nothing_finds_a_change_at_its_end(unprotected):
    worker = worker_of("train writes targets")
    worker.carry_out(protocol.Train(3))
    with pytest.raises(ContractBroken, match=r"train\(\) changed the train targets"):
        worker.carry_out(protocol.Measure())


@pytest.mark.parametrize("protect", [True, False])
def test_a_worker_whose_program_changes_nothing_passes(monkeypatch, request, protect):
    if not protect:
        request.getfixturevalue("unprotected")
    worker = all_requests("none")
    assert worker._seal.is_protected == (protect and sys.platform == "linux")


# --- The memory itself ---------------------------------------------------------------------------


def fill(array):
    array[...] = np.arange(array.size).reshape(array.shape)


@linux
def test_memory_is_protected_from_this_process():
    array = read_only_array((300, 5), np.float32, fill)
    assert is_mapped(array)
    assert is_mapped(array[3:])
    assert array.sum() == 1500 * 1499 / 2
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.setflags(write=True)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    libc = ctypes.CDLL(None, use_errno=True)
    readable_and_writable = 3
    page = ctypes.c_void_p(array.ctypes.data)
    assert libc.mprotect(page, ctypes.c_size_t(4096), readable_and_writable) == -1


@linux
def test_a_write_through_a_pointer_ends_the_process():
    code = (
        "import ctypes, numpy; from harness.core.machine.read_only import read_only_array\n"
        "array = read_only_array((300, 5), numpy.float32, lambda array: array.fill(1))\n"
        "print(array.sum(), flush=True)\n"
        "ctypes.memset(array.ctypes.data, 0, 4)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (-signal.SIGSEGV, "1500.0\n")


def test_without_the_system_numpy_protects(unprotected):
    array = read_only_array((3, 5), np.float64, fill)
    assert (is_mapped(array), array.flags.writeable, array[2, 4]) == (False, False, 14)


@pytest.mark.parametrize("shape", [(0,), (0, 4), ()])
def test_arrays_of_any_shape(shape):
    array = read_only_array(shape, np.int64, fill)
    assert (array.shape, array.dtype, array.flags.writeable) == (shape, np.int64, False)


def test_an_error_while_it_is_filled_is_raised():
    def fail(array):
        array[0] = 1
        raise MemoryError("too large")

    with pytest.raises(MemoryError, match="too large"):
        read_only_array((3,), np.float32, fail)


@pytest.mark.parametrize("place", [0, 5, 11])
def test_a_seal_finds_each_changed_value(place):
    samples = Samples(np.zeros((2, 3), np.float32), np.zeros(6, np.int64))
    seal = DataSeal({"training": samples, "other": Samples(np.ones(2), np.ones(2))})
    assert seal.changed() is None
    array, part = (samples.inputs, "training inputs") if place < 6 else (samples.targets, "training targets")
    array.ravel()[place % 6] = 1
    assert seal.changed() == seal.changed("training") == part
    assert seal.changed("other") is None


def test_a_seal_finds_rows_that_change_places():
    samples = Samples(np.arange(6.0).reshape(2, 3), np.zeros(2))
    seal = DataSeal({"training": samples})
    samples.inputs[:] = samples.inputs[::-1].copy()
    assert seal.changed() == "training inputs"
