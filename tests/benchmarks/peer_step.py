"""One training step of the cnn as people commonly time it: pytest-benchmark in one process.

``PEER_SIDE`` names the backend and mode, ``torch:eager`` or one of ``slowed``.
"""

import os
from pathlib import Path

import pytest

from harness import plugins
from harness.batches import BatchOrder
from harness.initial import initial_weights
from harness.machine import default_threads
from harness.spec import Plan
from harness.splits import split_samples

os.environ[plugins.PLUGIN_FILES_VARIABLE] = str(Path(__file__).with_name("planted.py"))


@pytest.fixture
def step():
    definition = plugins.task("cnn")
    task = definition.define(definition.options())
    backend, _, mode = os.environ["PEER_SIDE"].partition(":")
    plan = Plan(task=task, mode=mode, device="cpu", threads=default_threads(), seed=0)
    train = split_samples(plugins.dataset("digits").load(), "float32")["train"]
    plugins.backend(backend).environment(plan.threads)
    program = plugins.backend(backend).build(plan, train)
    program.load(initial_weights(task, 0))
    steps = BatchOrder.of_task(task, len(train), 0).steps(0, 1)
    return lambda: program.train(steps)


def test_step(benchmark, step):
    benchmark(step)
