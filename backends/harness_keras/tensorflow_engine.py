"""Keras on TensorFlow: what differs from the other engines, under the same names as in their files."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from harness.spec import Precision, Unsupported
from harness_keras import optimizers
from harness_keras.network import cross_entropies

Tensor = Any

Dense = keras.layers.Dense
Adam = optimizers.Adam
RmsProp = optimizers.RmsProp


def prepare(threads: int) -> dict[str, str]:
    """Set the thread counts and say what this TensorFlow is."""
    # Both pools as large as the cores given, TensorFlow's own rule. One thread between operations
    # was never faster: a layer's two gradients, of its kernel and its input, can be had at once.
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    build = tf.sysconfig.get_build_info()
    return {
        "engine": "tensorflow",
        "tensorflow": tf.__version__,
        "cuda": str(build.get("cuda_version", "none")),
        "cudnn": str(build.get("cudnn_version", "none")),
    }


def select(device: str, precision: Precision) -> str:
    """The name of the device that TensorFlow will use for ``device``; any precision goes.

    Raises:
        Unsupported: a GPU is asked for and TensorFlow sees none, or it sees one and must not.
    """
    del precision
    gpus = tf.config.list_physical_devices("GPU")
    if device.startswith("cuda") and not gpus:
        reason = "" if tf.test.is_built_with_cuda() else " and was built without CUDA"
        raise Unsupported(f"device {device} was asked for, but TensorFlow sees no GPU here{reason}")
    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    if device == "cpu" or not gpus:
        return "cpu"
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    return f"cuda:0 ({name})"


class IndexedModel(keras.Sequential):
    """A model whose training step is given the rows of its batch in data that stays on the device.

    The step is the one of Keras's guide to custom training steps in TensorFlow.
    """

    inputs_on_device: Tensor
    targets_on_device: Tensor

    def train_step(self, rows: Tensor) -> dict[str, Tensor]:
        """One update on ``rows (batch,)``; the loss that it minimised."""
        inputs = tf.gather(self.inputs_on_device, rows)
        targets = tf.gather(self.targets_on_device, rows)
        with tf.GradientTape() as tape:
            loss = tf.add_n(
                [tf.reduce_mean(cross_entropies(targets, self(inputs, training=True))), *self.losses]
            )
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


def batches(model: IndexedModel, indices: np.ndarray) -> tf.data.Dataset:
    """What ``fit`` is given to train on the rows ``indices (steps, batch)``."""
    del model
    # Keras too switches these off for arrays: rewriting so small a pipeline would take 40 ms of each
    # call of fit, and there is nothing in it to make faster.
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    return tf.data.Dataset.from_tensor_slices(indices).with_options(options)


def to_host(losses: list[Tensor]) -> np.ndarray:
    """Scalars on the device as one array ``(steps,)``, in one transfer."""
    return tf.stack(losses).numpy()


def synchronize(model: IndexedModel) -> None:
    """Wait for every device."""
    del model
    tf.test.experimental.sync_devices()


def peak_memory_bytes() -> int:
    """The most that the GPU's allocator has held."""
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
