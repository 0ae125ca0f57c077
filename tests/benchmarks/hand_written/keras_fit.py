"""Tasks as an expert writes them by hand in Keras, on whichever engine KERAS_BACKEND names.

Nothing of the harness is used. The engine's threads must have been set before the first call. The ``gan``
has the training step of Keras's DCGAN example, which is TensorFlow's.
"""

import time
from collections.abc import Mapping

import keras
import keras_lm
import numpy as np
from keras import layers

RATES = {"cnn": 0.01, "mlp": 0.01, "rnn": 0.01, "forecast": 2e-3}


def _leaky(x):
    return keras.ops.leaky_relu(x, 0.2)


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


def forecast() -> list:
    return [keras.Input((22, 1)), layers.LSTM(32), layers.Dense(4)]


def generator() -> list:
    return [
        keras.Input((64,)),
        layers.Dense(2048),
        layers.Reshape((4, 4, 128)),
        layers.Conv2DTranspose(64, 4, 2, "same", activation=_leaky),
        layers.Conv2DTranspose(32, 4, 2, "same", activation=_leaky),
        layers.Conv2DTranspose(16, 4, 2, "same", activation="relu"),
        layers.Conv2D(3, 5, padding="same", activation="sigmoid"),
    ]


def discriminator() -> list:
    return [
        keras.Input((32, 32, 3)),
        layers.Conv2D(32, 4, 2, "same", activation=_leaky),
        layers.Conv2D(64, 4, 2, "same", activation=_leaky),
        layers.Conv2D(128, 4, 2, "same", activation=_leaky),
        layers.Flatten(),
        layers.Dense(1),
    ]


def _network(made: list, weights: Mapping[str, np.ndarray], name: str) -> keras.Sequential:
    network = keras.Sequential(made)
    network.set_weights(_to_keras({n: w for n, w in weights.items() if n.startswith(f"{name}/")}))
    return network


def _to_keras(weights: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Canonical weights in the order and the layout of Keras's: gates z, r, n and both biases as one."""
    made = []
    for name, array in weights.items():
        if "/gru" in name:
            reset, update, candidate = np.split(array, 3, axis=-1)
            array = np.concatenate([update, reset, candidate], axis=-1)  # noqa: PLW2901
        if name.endswith("recurrent_bias"):
            made[-1] = np.stack([made[-1], array])
        elif "conv_transpose" in name and name.endswith("kernel"):
            made.append(array.swapaxes(2, 3))
        else:
            made.append(array)
    return made


def _gan(weights: Mapping[str, np.ndarray], jit_compile: bool | str) -> keras.Model:
    import tensorflow as tf

    bce = keras.losses.BinaryCrossentropy(from_logits=True)

    class Gan(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.generator = _network(generator(), weights, "generator")
            self.discriminator = _network(discriminator(), weights, "discriminator")
            self.optimizers = [keras.optimizers.Adam(1e-3, beta_1=0.5) for _ in range(2)]
            self.mean_loss = keras.metrics.Mean("generator_loss")
            self.built = True

        def train_step(self, data):
            pictures, latents = data
            with tf.GradientTape() as generator_tape:
                fakes = self.generator(latents, training=True)
                with generator_tape.stop_recording(), tf.GradientTape() as tape:
                    logits = self.discriminator(tf.concat([pictures, fakes], 0), training=True)
                    real, fake = tf.split(logits, 2)
                    loss = bce(tf.concat([tf.ones_like(real), tf.zeros_like(fake)], 0), logits)
                with generator_tape.stop_recording():
                    own = self.discriminator.trainable_variables
                    self.optimizers[1].apply_gradients(zip(tape.gradient(loss, own), own, strict=True))
                logits = self.discriminator(fakes, training=True)
                generator_loss = bce(tf.ones_like(logits), logits)
            own = self.generator.trainable_variables
            gradients = generator_tape.gradient(generator_loss, own)
            self.optimizers[0].apply_gradients(zip(gradients, own, strict=True))
            self.mean_loss.update_state(generator_loss)
            return {"generator_loss": self.mean_loss.result()}

    model = Gan()
    model.compile(optimizer=None, jit_compile=jit_compile)
    return model


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
        if task == "gan":
            self._model = _gan(weights, jit_compile)
            return
        if task == "lm":
            self._model = keras_lm.compiled(weights, jit_compile)
            return
        made = {"cnn": cnn, "mlp": mlp, "rnn": rnn, "forecast": forecast}
        self._model = _network(made[task](), weights, "model")
        optimizers = keras.optimizers
        self._model.compile(
            optimizer=optimizers.SGD(RATES[task]) if task == "cnn" else optimizers.Adam(RATES[task]),
            loss="mse"
            if task == "forecast"
            else keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=jit_compile,
        )

    def block(self, indices: np.ndarray, latents: np.ndarray | None) -> tuple[float, float]:
        """Seconds of ``model.fit`` over steps ``(steps, batch)``, and their mean loss (the generator's)."""
        start = time.perf_counter()
        rows = indices.ravel()
        second = self._targets[rows] if latents is None else latents.reshape(len(rows), -1)
        history = self._model.fit(
            self._inputs[rows], second, batch_size=indices.shape[1], shuffle=False, verbose=0
        )
        return time.perf_counter() - start, float(next(iter(history.history.values()))[0])
