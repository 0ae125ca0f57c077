"""One training step of the cnn as it is commonly timed: pytest-benchmark in one process.

``PEER_CONFIGURATION`` is the backend and mode, ``torch:eager`` or one of ``slowed``.
"""

import os
from pathlib import Path

import pytest

from harness.core.machine.description import default_threads
from harness.core.plugins import registry
from harness.core.plugins.files import PLUGIN_FILES_VARIABLE
from harness.core.training.batches import BatchOrder
from harness.core.training.initial import initial_weights
from harness.core.training.splits import split_samples
from harness.spec.backend import Plan

os.environ[PLUGIN_FILES_VARIABLE] = str(Path(__file__).with_name("planted.py"))


@pytest.fixture
def step():
    definition = registry.task("cnn")
    task = definition.define(definition.options())
    backend, _, mode = os.environ["PEER_CONFIGURATION"].partition(":")
    plan = Plan(task=task, mode=mode, device="cpu", threads=default_threads(), seed=0)
    train = split_samples(registry.dataset("digits").load(), "float32")["train"]
    registry.backend(backend).environment(plan.threads)
    program = registry.backend(backend).build(plan, train)
    program.load(initial_weights(task, 0))
    steps = BatchOrder.of_task(task, len(train), 0).steps(0, 1)
    return lambda: program.train(steps)


def test_step(benchmark, step):
    benchmark(step)
