"""PyTorch's training steps through the fixture ``harness_benchmark``: the plugin used on ourselves.

By hand, ``pytest -m "" tests/benchmarks/test_steps.py --benchmark-autosave``; in CI once and untimed
(``--benchmark-disable``); and against another checkout with ``--harness-gate --harness-base-python``.
"""

import pytest


@pytest.mark.timeout(1800)
@pytest.mark.benchmark(group="training step, torch")
@pytest.mark.parametrize(
    ("task", "dataset"),
    [
        ("cnn", "digits"),
        ("gan", "digits"),
        *(pytest.param(task, "mnist1d", marks=pytest.mark.long) for task in ("mlp", "rnn")),
    ],
)
def test_step(harness_benchmark, task, dataset):
    harness_benchmark("torch", task, dataset=dataset, max_slowdown="5%")
