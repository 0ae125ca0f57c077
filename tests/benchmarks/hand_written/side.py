"""The hand-written side of the training benchmark: a process that trains as many steps as it is told.

Reads a line ``FIRST COUNT`` (steps of the harness's own batch order) and answers with the seconds that
the hand-written loop took for them. Run as ``side.py BACKEND MODE DATASET THREADS``.
"""

import os
import sys
from collections.abc import Callable

import numpy as np

from harness import plugins
from harness.batches import BatchOrder
from harness.initial import initial_weights
from harness.spec import Samples
from harness.splits import split_samples

ENGINES = {"keras": "tensorflow", "keras-torch": "torch", "keras-jax": "jax"}
JIT_COMPILE = {"fit": "auto", "xla": True}


def torch_side(mode: str, data: Samples, weights: dict[str, np.ndarray]) -> Callable[[np.ndarray], float]:
    import torch
    from torch_loop import Loop

    torch.set_num_threads(int(sys.argv[4]))
    loop = Loop(data.inputs, data.targets, weights, mode)
    return lambda indices: loop.block_seconds([indices])[0]


def keras_side(
    backend: str, mode: str, data: Samples, weights: dict[str, np.ndarray]
) -> Callable[[np.ndarray], float]:
    os.environ["KERAS_BACKEND"] = ENGINES[backend]
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    plugins.backend(backend).environment(int(sys.argv[4]))  # sets the engine's threads
    from keras_fit import cnn, fit_seconds, pictures

    model = cnn(list(weights.values()), jit_compile=JIT_COMPILE[mode])
    x = pictures(data.inputs)
    return lambda indices: fit_seconds(model, x, data.targets, [indices.ravel()])[0]


def main() -> None:
    backend, mode, dataset, _ = sys.argv[1:5]
    definition = plugins.task("cnn")
    task = definition.define(definition.options())
    data = split_samples(plugins.dataset(dataset).load(), "float32")["train"]
    order = BatchOrder(len(data), task.batch_size, 0)
    weights = initial_weights(task, 0)
    train = (
        torch_side(mode, data, weights) if backend == "torch" else keras_side(backend, mode, data, weights)
    )
    print("ready", flush=True)
    for line in sys.stdin:
        first, count = map(int, line.split())
        print(train(order.steps(first, count).indices), flush=True)


if __name__ == "__main__":
    main()
