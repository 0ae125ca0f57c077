"""A backend that breaks the contract: the record names it, the breach and what is right."""

import pytest
from support.command import PLUGINS

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


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("no device", "the program's device is None; expected: 'cpu', or such as 'cuda:0 (NVIDIA H100)'"),
        ("device misspelt", "the program's device is 'gpu:0 (NVIDIA H100)'; expected: 'cpu', or such as"),
        ("no program", "build() gave NoneType; expected: a harness.spec.Program"),
        ("parameter missing", "weights() leaves out model/dense_1/bias; expected: every parameter"),
        ("parameter misnamed", "weights() leaves out model/dense_1/bias; expected: every parameter"),
        ("parameter shaped otherwise", "weights() for model/dense_1/bias gave an array of shape (100, 1)"),
        ("loss of another shape", "train() of 1 steps gave an array of shape (1, 1); expected: (1,)"),
        ("loss a tensor", "FrameworkTensor; expected: a NumPy array of shape (1,)"),
        ("loss of whole numbers", "gave an array of int64; expected: one of floating-point numbers"),
        ("one class too many", "predict() of 3600 inputs by model gave an array of shape (3600, 11)"),
        ("outputs flattened", "gave an array of shape (36000,); expected: (3600, 10)"),
        ("outputs a tensor", "FrameworkTensor; expected: a NumPy array of shape (3600, 10)"),
        ("memory in words", "device_peak_memory_bytes() gave a str; expected: an int, or None"),
        ("memory below nothing", "device_peak_memory_bytes() gave -1; expected: at least 0, or None"),
    ],
)
def test_a_breach_fails_the_run_with_who_broke_what_and_how(harness, mode, reason):
    done = harness(*RUN, "--no-certify", "--backend", f"breaker:{mode}")

    (record,) = harness.records()
    assert (record["status"], done.returncode) == ("failed", 1), done.stderr
    assert record["failure"]["message"].startswith("backend breaker breaks the contract: ")
    assert reason in record["failure"]["message"]


def test_a_program_on_another_device_than_was_asked_for_fails_the_run(harness):
    done = harness(*RUN, "--no-certify", "--backend", "breaker:none", "--device", "cuda")

    (record,) = harness.records()
    assert (record["status"], done.returncode) == ("failed", 1), done.stderr
    assert "cuda was asked for and the program's device is 'cpu'; expected" in record["failure"]["message"]


def test_an_environment_by_which_versions_cannot_be_told_apart_fails_the_run(harness):
    done = harness(*RUN, "--no-certify", "--backend", "untold")

    (record,) = harness.records()
    assert (record["status"], done.returncode) == ("failed", 1), done.stderr
    told = "backend untold breaks the contract: environment() tells framework, version; expected: the name"
    assert record["failure"]["message"].startswith(told)


def test_data_that_a_backend_writes_into_fails_the_run(harness):
    harness(*RUN, "--no-certify", "--backend", "breaker:writes into the data")

    (record,) = harness.records()
    assert record["status"] == "failed"
    assert "a backend that changes it must make a copy first" in record["failure"]["message"]


def test_outputs_that_are_no_numbers_are_neither_certified_nor_a_result(harness):
    harness(*RUN, "--backend", "breaker:outputs not numbers")

    (record,) = harness.records()
    assert record["status"] == "diverged"
    assert "predict() gave values for model that are not finite" in record["certificate"]["reason"]


def test_a_whole_number_of_numpy_is_as_good_as_an_int(harness):
    done = harness(*RUN, "--no-certify", "--backend", "breaker:memory in NumPy")

    (record,) = harness.records()
    assert (record["status"], record["device_peak_memory_bytes"]) == ("ok", 2**31), done.stderr


def test_weights_are_loaded_in_float64_whatever_they_were_given_in(harness):
    """Those of the best epoch, the first here, are loaded again at the end."""
    run = [word for word in RUN if word not in {"--max-steps", "3"}]
    done = harness(*run, "--epochs", "2", "--no-certify", "--backend", "breaker:single precision")

    (record,) = harness.records()
    assert (record["status"], done.returncode) == ("ok", 0), record["failure"]
    assert record["best_epoch"] == 1


def test_one_that_breaks_nothing_runs_but_is_not_certified(harness):
    done = harness(*RUN, "--backend", "breaker:none")

    (record,) = harness.records()
    assert (record["status"], done.returncode) == ("ok", 0), done.stdout
    assert record["certificate"]["certified"] is False
