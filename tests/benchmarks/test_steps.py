"""PyTorch's training steps through the fixture ``harness_benchmark``: the plugin used on ourselves.

By hand, ``pytest tests/benchmarks/test_steps.py --benchmark-autosave``; in CI once and untimed
(``--benchmark-disable``); and against another checkout with ``--harness-gate --harness-base-python``.
"""

import pytest


@pytest.mark.timeout(1800)
@pytest.mark.benchmark(group="training step, torch")
@pytest.mark.parametrize(
    ("task", "dataset"), [("cnn", "digits"), ("mlp", "mnist1d"), ("rnn", "mnist1d"), ("gan", "digits")]
)
def test_step(harness_benchmark, task, dataset):
    harness_benchmark("torch", task, dataset=dataset, max_slowdown="5%")
