"""Federated averaging of the harness's own program and of all backends, against central training."""

import numpy as np
import pytest
from support.tasks import defined

from harness.core.certify.cases import Case
from harness.core.certify.clients import client_tests
from harness.core.certify.observation import TrialPrograms
from harness.core.reference.training import NumpyBackend
from harness.core.training.counts import samples_of_step
from harness.core.training.federated import FederatedProgram, clients_of
from harness.errors import HarnessError
from harness.spec import Federated, Unsupported
from harness.spec.task import communicated_bytes
from harness_torch import TorchBackend

SGD = ["optimizer=sgd", "momentum=0", "learning_rate=0.1"]


def task_of(name, *assignments):
    return defined(name, *SGD, *assignments)


def faults_of(backend, name="mlp"):
    return client_tests(TrialPrograms(backend, backend.modes[0], 1), Case("plain", task_of(name)))


def test_clients_are_averaged_as_central_training_demands():
    assert faults_of(NumpyBackend()) == []


@pytest.mark.long
def test_clients_average_running_statistics_too(harness):
    """Clients of every backend are examined with those of DP-SGD, in one process of each."""
    pytest.importorskip("torch")
    harness.ok("check", "torch", "--task", "resnet", "--case", "federated averaging")


class Scaled(NumpyBackend):
    """Its clients' weights are not what they trained: a planted fault."""

    def build(self, plan, data):
        program = super().build(plan, data)
        weights = program.weights
        program.weights = lambda: {name: 1.001 * array for name, array in weights().items()}
        return program


class KeepsMomentum(TorchBackend):
    """The optimizer of one round goes on in the next."""

    def build(self, plan, data):
        program = super().build(plan, data)
        program.load_training_state = lambda _: None
        return program


@pytest.mark.parametrize(
    ("backend", "words"), [(Scaled, "as without rounds"), (KeepsMomentum, "start the optimizer anew")]
)
def test_a_fault_of_a_program_shows(backend, words):
    (fault, *_) = faults_of(backend())
    assert words in fault


def test_momentum_needs_a_training_state():
    task = task_of("mlp", "momentum=0.9", "clients=3")
    program = TrialPrograms(NumpyBackend(), NumpyBackend.modes[0], 1).build(task)
    with pytest.raises(Unsupported, match="needs training_state"):
        FederatedProgram(program, task, np.zeros(27, int))


def test_a_dirichlet_split_is_uneven_and_an_even_one_is_not():
    targets = np.repeat(np.arange(10), 100)

    def spread(concentration):
        owners = clients_of(Federated(5, 1, concentration), targets, 0)
        counts = np.array([np.bincount(targets[owners == client], minlength=10) for client in range(5)])
        assert counts.sum() == len(targets)
        return counts.std(axis=0).mean()

    assert spread(0.1) > spread(10.0) > 0
    even = np.bincount(clients_of(Federated(5), targets, 0))
    assert even.tolist() == [200] * 5


@pytest.mark.parametrize(
    ("federated", "words"),
    [(Federated(60), "60 clients are more than"), (Federated(40, 1, 0.01), "have no sample")],
)
def test_a_client_needs_samples(federated, words):
    with pytest.raises(Unsupported, match=words):
        clients_of(federated, np.arange(50) % 10, 0)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("gan", ["clients=2"], "clients"),
        ("mlp", ["clients=2", "dropout=0.5"], "masks would repeat"),
        ("mlp", ["local_epochs=2"], "need clients"),
        ("lm", ["clients=2", "dirichlet=0.1"], "dirichlet"),
    ],
)
def test_options_that_exclude_each_other(name, options, words):
    with pytest.raises(HarnessError, match=words):
        defined(name, *options)


def test_bytes_go_to_every_client_and_back():
    task = task_of("mlp", "clients=3")
    numbers = sum(np.prod(array.shape) for array in task.weights().values())
    assert communicated_bytes(task) == 2 * 3 * 4 * numbers
    assert communicated_bytes(task_of("mlp")) == 0


def test_a_round_sees_all_samples_in_each_local_epoch():
    assert samples_of_step(task_of("mlp", "clients=3", "local_epochs=5"), 200) == 1000
    assert samples_of_step(task_of("mlp"), 200) == task_of("mlp").batch_size
    assert samples_of_step(task_of("mlp", "optimizer=gd"), 200) == 200


@pytest.mark.slow
def test_a_record_says_what_a_step_of_clients_sees(harness):
    options = ["--federated", "clients=4,rounds=2,local_epochs=3", "--batch-size", "16", "--no-certify"]
    harness.ok("run", "--backend", "torch", "--task", "tabular", *options, "--quiet")
    shown = harness("show", "last").stdout
    assert "16 in a client" in shown
    assert "client drift, MiB sent" in shown
