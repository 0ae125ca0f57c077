"""Tasks as an expert writes them by hand in Keras, on whichever engine KERAS_BACKEND names.

Nothing of the harness is used. The engine's threads must have been set before the first call.
"""

import time
from collections.abc import Mapping

import keras
import numpy as np
from keras import layers


def _channels_last() -> bool:
    return keras.config.image_data_format() == "channels_last"


def _picture() -> keras.KerasTensor:
    return keras.Input((32, 32, 3) if _channels_last() else (3, 32, 32))


def cnn() -> list:
    return [
        _picture(),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10),
    ]


def mlp() -> list:
    return [
        keras.Input((40, 1)),
        layers.Flatten(),
        layers.Dense(100, activation="relu"),
        layers.Dense(100, activation="relu"),
        layers.Dense(10),
    ]


def rnn() -> list:
    return [
        keras.Input((40, 1)),
        layers.Bidirectional(layers.GRU(6, return_sequences=True)),
        layers.Flatten(),
        layers.Dense(10),
    ]


def _to_keras(weights: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Canonical weights in the order and the layout of Keras's: gates z, r, n and both biases as one."""
    made = []
    for name, array in weights.items():
        if "/gru" in name:
            reset, update, candidate = np.split(array, 3, axis=-1)
            array = np.concatenate([update, reset, candidate], axis=-1)  # noqa: PLW2901
        if name.endswith("recurrent_bias"):
            made[-1] = np.stack([made[-1], array])
        else:
            made.append(array)
    return made


class Loop:
    """A training in progress."""

    def __init__(
        self,
        task: str,
        inputs: np.ndarray,
        targets: np.ndarray,
        weights: Mapping[str, np.ndarray],
        jit_compile: bool | str = "auto",
    ) -> None:
        """Take canonical inputs ``(n, *input)``, targets and weights, layer after layer."""
        pictures = inputs.ndim == 4 and not _channels_last()
        self._inputs = np.ascontiguousarray(np.moveaxis(inputs, -1, 1)) if pictures else inputs
        self._targets = targets
        self._model = keras.Sequential({"cnn": cnn, "mlp": mlp, "rnn": rnn}[task]())
        self._model.set_weights(_to_keras(weights))
        optimizers = keras.optimizers
        self._model.compile(
            optimizer=optimizers.SGD(0.01) if task == "cnn" else optimizers.Adam(0.01),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=jit_compile,
        )

    def block(self, indices: np.ndarray) -> tuple[float, float]:
        """Seconds of ``model.fit`` over steps ``(steps, batch)``, and their mean loss."""
        start = time.perf_counter()
        rows = indices.ravel()
        history = self._model.fit(
            self._inputs[rows], self._targets[rows], batch_size=indices.shape[1], shuffle=False, verbose=0
        )
        return time.perf_counter() - start, float(history.history["loss"][0])
