"""DP-SGD and federated averaging in the built-in backends: certificates, noise, and what they decline."""

import json

import pytest
from support.engines import QUICK_XLA

from harness.core.plugins import installation

#: In one process of each backend.
CHECKS = ("--case", "dp-sgd", "--case", "noise of dp-sgd", "--case", "federated averaging")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "backend",
    [
        *("torch", "keras", "jax"),
        *(pytest.param(f"keras-{each}", marks=pytest.mark.long) for each in ("jax", "torch")),
    ],
)
def test_steps_clients_and_noise_are_those_of_the_reference(harness, backend):
    if installation.installation(backend)[0] != "installed":
        pytest.skip(f"{backend} is not installed")
    done = harness("check", backend, "--task", "mlp", *CHECKS, **QUICK_XLA)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Everything agrees with the reference." in done.stdout


@pytest.mark.slow
def test_a_run_records_epsilon_and_the_losses_of_training_samples(harness):
    options = ("--set", "dp_noise=1.1", "--set", "dp_clip=1.0", "--set", "dp_delta=0.001", "--threads", "1")
    done = harness("run", "--backend", "torch", "--task", "mlp", "--epochs", "2", *options)
    assert done.returncode == 0, done.stderr
    assert "DP-SGD of mlp: epsilon = " in done.stdout
    assert "Warning: delta = 0.001 is not below 1/3,600" in done.stdout
    (path,) = harness.folder.glob("results/runs/*.json")
    record = json.loads(path.read_text())
    claim = record["extensions"]["privacy"]["result"]
    assert claim["steps"] == 72
    assert 0.5 < claim["epsilon"] < claim["epsilon_rdp"] < 3
    assert record["extensions"]["membership"]["result"]["samples"]["count"] == 400
    assert {"dp-sgd", "noise of dp-sgd"} <= set(record["certificate"]["cases"])
    assert "epsilon is at least" in record["certificate"]["audit"]
    assert record["verification"]["outcome"] == "verified"
    assert "membership AUC" in harness("compare", "--privacy").stdout


@pytest.mark.slow
def test_what_has_no_gradients_of_samples_is_declined_and_named(harness):
    done = harness("run", "--backend", "torch", "--task", "rnn", "--epochs", "1", "--set", "dp_clip=1")
    assert done.returncode == 2, done.stderr
    assert "gradients of single samples of nn.GRU" in done.stdout
