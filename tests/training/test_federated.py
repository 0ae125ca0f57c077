"""Federated averaging of the harness's own program and of all backends, against central training."""

import os
import subprocess
import sys

import msgspec
import numpy as np
import pytest
from support.engines import QUICK_XLA

from harness.errors import HarnessError
from harness.plugins import installation, registry
from harness.plugins.definition import define_task
from harness.plugins.options import parse_options
from harness.reference.training import NumpyBackend
from harness.spec import Federated, Plan, Samples, Unsupported
from harness.spec.flops import communicated_bytes
from harness.training.batches import BatchOrder, samples_of_step
from harness.training.federated import FederatedProgram, clients_of
from harness.training.initial import initial_weights

SGD = ["optimizer=sgd", "momentum=0", "learning_rate=0.1"]
TOLERANCE = 1e-9


def task_of(name, *assignments):
    definition = registry.task(name)
    return define_task(definition, parse_options(definition, [*SGD, *assignments]))


def samples_for(task, count=45, classes=10):
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((count, *task.networks["model"].input_shape))
    return Samples(inputs, rng.integers(0, classes, count))


def trained(backend, task, data, epochs=2, mode=None):
    """The program of a task after some epochs, federated if the task is, and the loss of each step."""
    plan = Plan(
        task=task, mode=mode or backend.modes[0], precision="float64", threads=1, seed=0, device="cpu"
    )
    program = backend.build(plan, data)
    if task.federated is not None:
        program = FederatedProgram(program, task, clients_of(task.federated, data.targets, plan.seed))
    program.load(initial_weights(task, plan.seed))
    order, losses, step = BatchOrder.of_task(task, len(data.targets), plan.seed), [], 0
    while step < epochs * order.steps_per_epoch:
        count = order.run_length(step)
        losses.append(program.train(order.steps(step, count)))
        step += count
    return program, np.concatenate(losses) if losses else np.zeros(0)


def largest_gap(one, other):
    one, other = one.weights(), other.weights()
    assert set(one) == set(other)
    return max(np.abs(one[name] - other[name]).max() for name in one)


def check(backend, name="mlp"):
    """What must hold of every backend; also run in a process of each."""
    central, single = task_of(name), task_of(name, "clients=1")
    small = msgspec.structs.replace(central, batch_size=8), msgspec.structs.replace(single, batch_size=8)
    data = samples_for(central)
    one, _ = trained(backend, small[0], data)
    other, losses = trained(backend, small[1], data)
    assert largest_gap(one, other) < TOLERANCE, "a single client trains as without rounds"
    assert losses.shape == (2,)
    assert other.drift == pytest.approx(0.0, abs=1e-12)
    many = task_of(name, "clients=4")
    full = [msgspec.structs.replace(task, batch_size=None) for task in (central, many)]
    one, losses_of_one = trained(backend, full[0], data, epochs=1)
    other, losses_of_other = trained(backend, full[1], data, epochs=1)
    assert largest_gap(one, other) < TOLERANCE, "steps of all clients on all their samples are one step"
    assert losses_of_one == pytest.approx(losses_of_other, abs=TOLERANCE)
    assert other.drift > 0
    return one, other


def test_clients_are_averaged_as_central_training_demands():
    check(NumpyBackend())


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["torch", "jax", "keras", "keras-torch"])
def test_clients_of_every_backend(name):
    if installation.installation(name)[0] != "installed":
        pytest.skip(f"{name} is not installed")
    code = (
        "import sys; sys.path[:0] = ['tests', 'tests/training']; import test_federated\n"
        f"from harness.plugins import registry; backend = registry.backend({name!r})\n"
        "backend.environment(1); test_federated.check(backend); test_federated.check_momentum(backend)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | QUICK_XLA, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def check_momentum(backend):
    """Each round starts the optimizer anew."""
    task = task_of("mlp", "momentum=0.9", "clients=3")
    data, order = samples_for(task), BatchOrder.of_task(task, 45, 0)
    program, _ = trained(backend, task, data, epochs=2)
    once, _ = trained(backend, task, data, epochs=1)
    other, _ = trained(backend, task, data, epochs=0)
    other.load(once.weights())
    other.train(order.steps(1, 1))
    assert largest_gap(program, other) < TOLERANCE


def test_momentum_needs_a_training_state():
    with pytest.raises(Unsupported, match="needs training_state"):
        check_momentum(NumpyBackend())


class Scaled(NumpyBackend):
    """Its clients' weights are not what they trained: a planted fault."""

    def build(self, plan, data):
        program = super().build(plan, data)
        weights = program.weights
        program.weights = lambda: {name: 1.001 * array for name, array in weights().items()}
        return program


def test_a_fault_of_a_program_shows():
    with pytest.raises(AssertionError):
        check(Scaled())


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
    definition = registry.task(name)
    with pytest.raises(HarnessError, match=words):
        define_task(definition, parse_options(definition, options))


def test_bytes_go_to_every_client_and_back():
    task = task_of("mlp", "clients=3")
    numbers = sum(np.prod(array.shape) for array in task.weights().values())
    assert communicated_bytes(task) == 2 * 3 * 4 * numbers
    assert communicated_bytes(task_of("mlp")) == 0


def test_a_round_sees_all_samples_in_each_local_epoch():
    assert samples_of_step(task_of("mlp", "clients=3", "local_epochs=5"), 200) == 1000
    assert samples_of_step(task_of("mlp"), 200) == task_of("mlp").batch_size
    assert samples_of_step(task_of("mlp", "optimizer=gd"), 200) == 200


def test_a_record_says_what_a_step_of_clients_sees(harness):
    options = ["--federated", "clients=4,rounds=2,local_epochs=3", "--batch-size", "16", "--no-certify"]
    done = harness("run", "--backend", "torch", "--task", "tabular", *options, "--quiet")
    assert done.returncode == 0, done.stderr
    shown = harness("show", "last").stdout
    assert "16 in a client" in shown
    assert "client drift, MiB sent" in shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clients=x", "give clients=N"),
        ("clients=3,clients=5", "give clients=N"),
        ("clients=²", "give clients=N"),
        ("rounds=2", "give clients=N"),
        ("clients=2,split=dirichlet:", "give clients=N"),
        ("clients=2,rounds=2 --epochs 3", "leave out one"),
        ("clients=2 --set clients=3", "say the same"),
    ],
)
def test_wrong_forms_are_refused(harness, text, words):
    done = harness("run", "--backend", "torch", "--task", "mlp", "--federated", *text.split())
    assert done.returncode == 2
    assert words in done.stderr
