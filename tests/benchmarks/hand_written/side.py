"""The hand-written side of the training benchmark: a process that trains as many steps as it is told.

Reads a line ``FIRST COUNT`` (steps of the harness's own batch order) and answers with the seconds that
the hand-written loop took for them and their mean loss. Run as ``side.py BACKEND MODE TASK DATASET THREADS``.
"""

import os
import sys
from typing import Any

import numpy as np

from harness.core.plugins import registry
from harness.core.training.batches import BatchOrder
from harness.core.training.initial import initial_weights
from harness.core.training.splits import split_samples
from harness.spec.data import Samples

ENGINES = {"keras": "tensorflow", "keras-torch": "torch", "keras-jax": "jax"}
#: The tasks that each loop has.
TASKS = ("cnn", "mlp", "rnn")
JIT_COMPILE = {"fit": "auto", "xla": True}


def loop(backend: str, mode: str, task: str, data: Samples, weights: dict[str, np.ndarray]) -> Any:
    """The hand-written loop of a framework, its threads set as the harness sets them."""
    if backend in ENGINES:
        os.environ["KERAS_BACKEND"] = ENGINES[backend]
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    registry.backend(backend).environment(int(sys.argv[5]))
    arguments = (task, data.inputs, data.targets, weights)
    match backend:
        case "torch":
            from torch_loop import Loop

            return Loop(*arguments, mode)
        case "jax":
            from jax_loop import Loop

            return Loop(*arguments)
        case _:
            from keras_fit import Loop

            return Loop(*arguments, JIT_COMPILE[mode])


def main() -> None:
    backend, mode, task_name, dataset, _ = sys.argv[1:6]
    definition = registry.task(task_name)
    task = definition.define(definition.options())
    data = split_samples(registry.dataset(dataset).load(), "float32", tokens=False)["train"]
    order = BatchOrder.of_task(task, len(data), 0)
    training = loop(backend, mode, task_name, data, initial_weights(task, 0))
    print("ready", flush=True)
    for line in sys.stdin:
        first, count = map(int, line.split())
        steps = order.steps(first, count, np.float32)
        print(*training.block(steps.indices), flush=True)


if __name__ == "__main__":
    main()
