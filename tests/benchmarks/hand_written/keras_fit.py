"""The cnn as an expert writes it by hand in Keras, on whichever engine KERAS_BACKEND names.

Nothing of the harness is used. The engine's threads must have been set before the first call.
"""

import time
from collections.abc import Iterable, Sequence

import keras
import numpy as np

BATCH_SIZE = 64


def cnn(weights: Sequence[np.ndarray], jit_compile: bool | str = "auto") -> keras.Model:
    """The compiled network with these initial weights, kernels and biases in the order of the layers."""
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3) if _channels_last() else (3, 32, 32)),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(64, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.SGD(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
    )
    model.set_weights(weights)
    return model


def pictures(inputs: np.ndarray) -> np.ndarray:
    """Pictures ``(n, height, width, channels)`` in the engine's own layout; to be done once, untimed."""
    return inputs if _channels_last() else np.ascontiguousarray(np.moveaxis(inputs, -1, 1))


def fit_seconds(
    model: keras.Model, x: np.ndarray, y: np.ndarray, orders: Iterable[np.ndarray]
) -> list[float]:
    """Seconds of ``model.fit`` over each order ``(samples,)`` of rows, their selection included."""
    seconds = []
    for order in orders:
        start = time.perf_counter()
        model.fit(x[order], y[order], batch_size=BATCH_SIZE, shuffle=False, verbose=0)
        seconds.append(time.perf_counter() - start)
    return seconds


def _channels_last() -> bool:
    return keras.config.image_data_format() == "channels_last"
