"""The backend for trees of its how-to guide computes what the PyTorch backend does, and declines the rest."""

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch")

import my_trees

from harness.core.certify.cases import narrow_networks
from harness.core.certify.observation import TrialPrograms
from harness.core.plugins import registry
from harness.core.training.batches import BatchOrder
from harness.spec import Unsupported
from harness.spec.schedules import CosineDecay

SAMPLES, STEPS = 27, 6


def _small(name):
    """The task with a narrow network, a batch of eight, and a schedule that lies within its steps."""
    definition = registry.task(name)
    return msgspec.structs.replace(
        definition.define(definition.options()),
        networks=narrow_networks(definition),
        batch_size=8,
        epochs=2,
        samples_per_epoch=None,
        schedule=CosineDecay(0.1, warmup_steps=2),
        clip_norm=0.5,
        weight_decay=0.1,
    )


def _trained(backend, mode, task):
    backend.environment(1)
    program = TrialPrograms(backend, mode, 1).build(task)
    order = BatchOrder.of_task(task, SAMPLES, seed=0)
    losses = np.concatenate([program.train(order.steps(step, 1)) for step in range(STEPS)])
    return losses, program


@pytest.mark.parametrize("name", ["resnet", "lm", "tabular", "cnn"])
def test_it_computes_what_the_torch_backend_computes(name):
    task = _small(name)
    losses, program = _trained(my_trees.MyTreesBackend(), "eager", task)
    expected, other = _trained(registry.backend("torch"), "eager", task)
    np.testing.assert_allclose(losses, expected, rtol=1e-10)
    weights = other.weights()
    assert weights.keys() == program.weights().keys()
    for parameter, array in program.weights().items():
        np.testing.assert_allclose(array, weights[parameter], rtol=1e-8, atol=1e-11, err_msg=parameter)


def test_it_declines_what_it_does_not_compute():
    backend = my_trees.MyTreesBackend()
    for name, message in (("rnn", "no GRU layers"), ("gan", "no Reshape layers")):
        definition = registry.task(name)
        with pytest.raises(Unsupported, match=message):
            TrialPrograms(backend, "eager", 1).build(definition.define(definition.options()))
