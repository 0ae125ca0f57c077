"""Predictions of a task as steps: outputs, batches, suites and the curve over batch sizes."""

import subprocess
import sys

import numpy as np
import pytest

from harness.core.plugins import installation
from harness.core.worker.requests import _PREDICTED_BATCHES
from harness.errors import UsageError
from harness.timing.engine.steps.task_step import make_prediction
from harness.timing.environments.suite_file import benchmark_of

#: Run in a process of its own: a framework takes its threads once a process.
PREDICT = """
import sys, numpy as np
from harness.timing.engine.steps.task_step import make_prediction
predict = make_prediction(sys.argv[1], "mlp", 3, dataset="mnist1d")
assert predict.samples == 3
np.save(sys.argv[2], [predict() for _ in range(int(sys.argv[3]))])
"""


def _predictions(backend, count, folder):
    file = folder / f"{backend}.npy"
    subprocess.run([sys.executable, "-c", PREDICT, backend, str(file), str(count)], check=True)
    return np.load(file)


@pytest.mark.parametrize("name", ["torch", "jax", "keras"])
def test_every_framework_predicts_the_same_batches(name, tmp_path):
    if installation.installation(name)[0] != "installed":
        pytest.skip(f"{name} is not installed")
    outputs = _predictions(name, _PREDICTED_BATCHES + 1, tmp_path)
    assert outputs[0].shape == (3, 10)
    assert np.array_equal(outputs[0], outputs[-1]), "batches come again in the same order"
    assert not np.array_equal(outputs[0], outputs[1])
    assert outputs[0] == pytest.approx(_predictions("torch", 1, tmp_path)[0], abs=1e-6)


def test_a_generator_predicts_from_latents():
    predict = make_prediction("torch", "gan", 2, dataset="digits")
    assert predict().shape == (2, 32, 32, 3)


def test_a_suite_gates_predictions():
    table = {"backend": "torch", "task": "cnn", "operation": "predict", "batch_size": 8, "set": {"width": 2}}
    benchmark = benchmark_of("latency", table, {}, "gate.toml")
    assert benchmark.step == "harness.timing.engine.steps.task_step:make_prediction"
    arguments = {"backend": "torch", "task": "cnn", "batch_size": 8, "options": ["width=2"]}
    assert benchmark.arguments.items() >= arguments.items()
    assert benchmark.threads == benchmark.arguments["threads"] == 1
    for wrong, words in (
        ({"set": "x"}, "set"),
        ({"precision": "float16"}, "precision"),
        ({"batch_size": "8"}, "batch_size"),
        ({"epochs": 3}, "predictions train nothing"),
    ):
        with pytest.raises(UsageError, match=words):
            benchmark_of("latency", {**table, **wrong}, {}, "gate.toml")
    for other, words in (({"step": "bench.py:make"}, "predict"), ({"backend": "torch"}, "lacks task")):
        with pytest.raises(UsageError, match=words):
            benchmark_of("latency", {**other, "operation": "predict"}, {}, "gate.toml")
