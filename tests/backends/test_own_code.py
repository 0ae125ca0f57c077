"""Parts of a training in the user's own code in every backend: those that repeat its own train the same.

Engines of Keras cannot share a process, so each backend makes all its programs in one of its own.
`test_torch_own_code` has what is particular to PyTorch.
"""

import functools
import importlib.util
import pickle
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.engines import child_results
from support.training_cases import CLASSES, program, samples, task

from harness.layers import Conv2D, Dense, Flatten
from harness.network import Network
from harness.spec.backend import Steps, Unsupported
from harness.spec.data import Samples
from harness.spec.schedules import CosineDecay
from harness.spec.task import OwnCode, Sgd

# Engines start and compile in separate processes, which takes long on a busy machine.
pytestmark = pytest.mark.timeout(900)

#: Height, width and channels differ, so that a layout that is not converted shows.
NETWORK = Network((5, 4, 3), (Conv2D(4, 2, "relu"), Flatten(), Dense(CLASSES)))
INDICES = np.random.default_rng(0).integers(0, 40, (6, 8))
FACTORS = np.linspace(1.0, 0.1, 6)
RATE = 0.5
LOSSES = {
    "torch": "torch.nn.functional.cross_entropy(outputs, targets, reduction='none')",
    "keras": "keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True)",
    "jax": "optax.softmax_cross_entropy_with_integer_labels(outputs, targets)",
}
OPTIMIZERS = {
    "torch": "torch.optim.SGD(parameters, lr=0.5)",
    "keras": "keras.optimizers.SGD(0.5)",
    "jax": "optax.inject_hyperparams(optax.sgd)(0.5)",
}
#: Optimizers that no other schedule can change.
RATELESS = {
    "keras": "keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.9))",
    "jax": "optax.sgd(0.5)",
}
WORDS = {"keras": "has a schedule of its own", "jax": "exposes no learning rate that a schedule can set"}
KINDS = {"torch": "Optimizer", "keras": "Optimizer", "jax": "GradientTransformation"}
CODE = """
import {imported}

def loss(outputs, targets):
    return {loss}

def optimizer({parameters}):
    return {optimizer}

def rateless({parameters}):
    return {rateless}

def none({parameters}):
    return "no optimizer"

def broken({parameters}):
    raise ValueError("a fault")
"""


def _code(framework):
    return CODE.format(
        imported={"jax": "optax"}.get(framework, framework),
        loss=LOSSES[framework],
        parameters="parameters" if framework == "torch" else "",
        optimizer=OPTIMIZERS[framework],
        rateless=RATELESS.get(framework, "None"),
    )


def _trained(backend, mode, code=None, rate=RATE, schedule=None, inputs=None, **fields):
    described = task(NETWORK, optimizer=Sgd(rate), **({"schedule": schedule} if schedule else {}))
    described = msgspec.structs.replace(described, own_code=code)
    data = samples(described)
    data = Samples(data.inputs if inputs is None else inputs, data.targets)
    made = program(backend, described, mode, data=data)
    losses = made.train(Steps(INDICES, **fields))
    return losses, made.weights()


def _reason(build):
    try:
        build()
    except Unsupported as error:
        return str(error)
    return ""


def child(name, path):
    """Train with a backend, and write the results to a file."""
    framework = name.partition("-")[0]
    plugin = importlib.import_module(f"harness_{framework}")
    backend = plugin.harness_backend(name)
    backend.environment(1)
    (file := Path(path).with_suffix(".py")).write_text(_code(framework))

    def own(**parts):
        return OwnCode(**{part: f"{file}:{callable_}" for part, callable_ in parts.items()})

    results = {}
    for mode in ["eager", "channels_last"] if name == "torch" else backend.modes[:1]:
        train = functools.partial(_trained, backend, mode)
        others = np.random.default_rng(1).uniform(-1, 1, samples(task(NETWORK)).inputs.shape)
        rates = np.full(6, RATE)
        results[mode] = {
            "plain": train(learning_rates=rates),
            "augmented": train(learning_rates=rates, augmented=others[INDICES]),
            "others": train(learning_rates=rates, inputs=others),
            "own loss": train(own(loss="loss"), learning_rates=rates),
            "own optimizer": train(own(optimizer="optimizer"), 1.0, learning_rates=np.ones(6)),
            "scheduled": train(schedule=CosineDecay(0.1), learning_rates=RATE * FACTORS),
            "own scheduled": train(own(optimizer="optimizer"), 1.0, CosineDecay(0.1), learning_rates=FACTORS),
        }
        results["refused"] = {
            part: _reason(functools.partial(train, own(optimizer=part), 1.0, CosineDecay(0.1)))
            for part in ("rateless", "none", "broken", "missing")
        }
    Path(path).write_bytes(pickle.dumps(results))


#: By the backend the modules without which it is skipped.
BACKENDS = {
    "torch": ["torch"],
    "jax": ["jax", "optax"],
    "keras-torch": ["keras", "torch"],
    "keras-jax": ["keras", "jax"],
    "keras": ["keras", "tensorflow"],
}
MARKS = {"keras": pytest.mark.slow, "keras-jax": pytest.mark.long}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=MARKS.get(name, ())) for name in BACKENDS],
)
def results(request, tmp_path_factory):
    if any(importlib.util.find_spec(module) is None for module in BACKENDS[request.param]):
        pytest.skip(f"{request.param} is not installed")
    return request.param, child_results("test_own_code", request.param, folder=tmp_path_factory.mktemp("own"))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("augmented", "others"),
        ("own loss", "plain"),
        ("own optimizer", "plain"),
        ("own scheduled", "scheduled"),
    ],
)
def test_own_code_that_repeats_the_backends_own_trains_the_same(results, ours, theirs):
    _, found = results
    for by_case in (part for mode, part in found.items() if mode != "refused"):
        (losses, weights), (others, other_weights) = by_case[ours], by_case[theirs]
        np.testing.assert_allclose(losses, others, rtol=1e-9)
        for name, array in weights.items():
            np.testing.assert_allclose(array, other_weights[name], rtol=1e-9, atol=1e-12)


def test_the_cases_are_different_trainings(results):
    _, found = results
    for by_case in (part for mode, part in found.items() if mode != "refused"):
        ends = {by_case[name][0][-1] for name in ("plain", "others", "scheduled")}
        assert len(ends) == 3


def test_an_optimizer_that_cannot_be_used_is_declined(results):
    name, found = results
    framework, refused = name.partition("-")[0], found["refused"]
    assert WORDS.get(framework, "which is no Optimizer") in refused["rateless"]
    assert f"returned str, which is no {KINDS[framework]}" in refused["none"]
    assert "raised ValueError: a fault" in refused["broken"]
    assert "has no callable 'missing'" in refused["missing"]
