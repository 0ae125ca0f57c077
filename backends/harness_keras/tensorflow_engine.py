"""Keras on TensorFlow: what differs between engines, under the same names in each engine's file."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from harness.backend_support.feeding import is_augmented
from harness.layers import LEAKY_RELU_SLOPE
from harness.spec import Precision, Unsupported
from harness_keras import objectives, optimizers
from harness_keras.objectives import OnDevice, TwoNetworks, windows

Tensor = Any

Dense = keras.layers.Dense
OPTIMIZERS = optimizers.OPTIMIZERS
tanh = keras.activations.tanh


def prepare(threads: int) -> dict[str, str]:
    """Set the thread counts and describe this TensorFlow."""
    # Both pools have the size of the given cores, TensorFlow's own rule. One thread between operations was
    # never faster: the gradients of a layer's kernel and of its input can be computed at the same time.
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    # NVIDIA's TF32 keeps only ten bits of the mantissa.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    build = tf.sysconfig.get_build_info()
    return {
        "engine": "tensorflow",
        "tensorflow": tf.__version__,
        "cuda": str(build.get("cuda_version", "none")),
        "cudnn": str(build.get("cudnn_version", "none")),
        "tf32": "off",
    }


def select(device: str, precision: Precision) -> str:
    """Return the name of TensorFlow's device for ``device``, in any precision."""
    del precision
    gpus = tf.config.list_physical_devices("GPU")
    if device.startswith("cuda") and not gpus:
        reason = "" if tf.test.is_built_with_cuda() else " and was built without CUDA"
        raise Unsupported(f"device {device} was requested, but TensorFlow sees no GPU{reason}")
    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    if device == "cpu" or not gpus:
        return "cpu"
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    return f"cuda:0 ({name})"


def leaky_relu(x: Tensor) -> Tensor:
    """Compute ``x`` above zero, ``LEAKY_RELU_SLOPE * x`` elsewhere."""
    if x.dtype == tf.float64:  # TensorFlow's own rounds the slope to float32
        return tf.where(x > 0, x, LEAKY_RELU_SLOPE * x)
    return tf.nn.leaky_relu(x, LEAKY_RELU_SLOPE)


def sigmoid(x: Tensor) -> Tensor:
    """Compute the logistic function."""
    # Keras's losses on TensorFlow undo a sigmoid that they find at a network's end, even if it is not theirs.
    return tf.identity(tf.nn.sigmoid(x))


def gelu(x: Tensor) -> Tensor:
    """Compute ``0.5 * x * (1 + erf(x / sqrt(2)))``."""
    if x.dtype == tf.float64:  # TensorFlow's own rounds the root to float32, as the constants below
        return 0.5 * x * (1 + tf.math.erf(x * math.sqrt(0.5)))
    return tf.nn.gelu(x)


def gelu_tanh(x: Tensor) -> Tensor:
    """Compute the approximation of :func:`gelu` by tanh."""
    if x.dtype == tf.float64:
        return 0.5 * x * (1 + tf.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return tf.nn.gelu(x, approximate=True)


class SupervisedModel(OnDevice, keras.Model):
    """A model whose training step takes the rows of its batch in data that stays on the device.

    The step follows Keras's guide to custom training steps in TensorFlow.
    """

    def train_step(self, step: dict[str, Tensor]) -> dict[str, Tensor]:
        """Make one update on ``indices (batch,)``; returns the loss that it minimised."""
        inputs = _inputs_of(self, step)
        targets = tf.gather(self.targets_on_device, step["indices"])
        if self.privacy is not None:
            return self._private_step(step, inputs, targets)
        with tf.GradientTape() as tape:
            terms = self.loss_terms(targets, self(inputs, training=True))
            loss = tf.add_n([tf.reduce_mean(terms), *self.losses])
        _update(self, step, tape.gradient(loss, self.trainable_variables))
        return {"loss": loss}

    def _private_step(self, step: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Make one step of DP-SGD; see :class:`harness.spec.Privacy`."""
        variables = self.trainable_variables
        values = [variable.value for variable in variables]

        def of_sample(sample: tuple[Tensor, Tensor]) -> tuple[Tensor, list[Tensor]]:
            x, target = sample
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(self.loss_terms(target[None], self(x[None], training=True)))
            return loss, [tf.convert_to_tensor(each) for each in tape.gradient(loss, values)]

        losses, each = tf.vectorized_map(of_sample, (inputs, targets))
        with tf.GradientTape() as tape:
            penalty = tf.cast(objectives.penalty(variables, values), losses.dtype)
        of_penalty = tape.gradient(penalty, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        combined = _private_gradients(self, step, each)
        _update(self, step, [ours + theirs for ours, theirs in zip(combined, of_penalty, strict=True)])
        included = tf.cast(step["included"], losses.dtype)
        return {"loss": tf.reduce_sum(losses * included) / self.batch_size + penalty}


def _private_gradients(model: SupervisedModel, step: dict[str, Tensor], each: list[Tensor]) -> list[Tensor]:
    """Compute :func:`harness.backend_support.rules.private_gradients` without NumPy's methods of arrays."""
    privacy, dtype = model.privacy, each[0].dtype
    assert privacy is not None  # noqa: S101  asked for before
    rows = [tf.reshape(gradient, (tf.shape(gradient)[0], -1)) for gradient in each]
    norms = tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(row), 1) for row in rows]))
    factors = privacy.clip / tf.maximum(norms, tf.cast(privacy.clip, dtype))
    factors = tf.where(step["included"], factors, tf.zeros_like(factors))
    shapes = [tuple(variable.shape) for variable in model.trainable_variables]
    noise = objectives.noise_of(
        step, shapes, lambda count: tf.random.stateless_normal((count,), step["noise_seeds"], dtype=dtype)
    )
    size = tf.cast(privacy.noise * privacy.clip, dtype)
    return [
        (tf.reshape(tf.linalg.matvec(row, factors, transpose_a=True), shape) + size * drawn)
        / model.batch_size
        for row, shape, drawn in zip(rows, shapes, noise, strict=True)
    ]


class AdversarialModel(TwoNetworks):
    """A generator and a discriminator, trained by the step of Keras's DCGAN example in TensorFlow."""

    def train_step(self, step: dict[str, Tensor]) -> dict[str, Tensor]:
        """Update each network once; see :class:`harness.spec.Adversarial`."""
        pictures = _inputs_of(self, step)
        with tf.GradientTape() as generator_tape:
            made = tf.cast(self.generator(step["latents"], training=True), pictures.dtype)
            with generator_tape.stop_recording():
                discriminator_loss = self._train_discriminator(step, pictures, made)
            logits = self.discriminator(made, training=True)
            fooled = tf.reduce_mean(self.loss_terms(tf.ones_like(logits), logits))
            generator_loss = tf.add_n([fooled, *self.generator.losses])
        gradients = generator_tape.gradient(generator_loss, self.generator.trainable_variables)
        _update(self.generator, step, gradients)
        return {"discriminator_loss": discriminator_loss, "generator_loss": generator_loss}

    def _train_discriminator(self, step: dict[str, Tensor], pictures: Tensor, made: Tensor) -> Tensor:
        network = self.discriminator
        with tf.GradientTape() as tape:
            logits = network(tf.concat([pictures, made], 0), training=True)
            real, fake = tf.split(logits, 2)
            targets = tf.concat([tf.ones_like(real), tf.zeros_like(fake)], 0)
            loss = tf.add_n([tf.reduce_mean(self.loss_terms(targets, logits)), *network.losses])
        _update(network, step, tape.gradient(loss, network.trainable_variables))
        return loss


def _inputs_of(model: OnDevice, step: dict[str, Tensor]) -> Tensor:
    """Collect the inputs of a step by one gather, augmented if the draws ask for it."""
    if "augmented" in step:
        return step["augmented"]
    inputs, rows = model.inputs_on_device, step["indices"]
    if not is_augmented(step):
        return tf.gather(inputs, rows)
    _, height, width, channels = inputs.shape
    rows, y, x = windows(step, height - 2 * model.crop, width - 2 * model.crop)
    return tf.gather(tf.reshape(inputs, (-1, channels)), (rows * height + y) * width + x)


def _update(network: keras.Model, step: dict[str, Tensor], gradients: list[Tensor]) -> None:
    if "learning_rates" in step:
        network.optimizer.learning_rate = step["learning_rates"]
    # The gradient of an embedding is a list of rows. Keras would square each, even where a row occurs twice.
    dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
    network.optimizer.apply_gradients(zip(dense, network.trainable_variables, strict=True))


def differentiator(
    model: keras.Model, picked: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[np.ndarray, np.ndarray], tuple[Tensor, Tensor]]:
    """Return a function that returns gradients of the ``picked`` outputs by the inputs, and the outputs."""

    def differentiate(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            chosen = picked(model(inputs, training=False), targets)
        return tape.gradient(chosen, inputs), chosen

    compiled = tf.function(differentiate)
    return lambda inputs, targets: compiled(tf.constant(inputs), tf.constant(targets))


def batches(model: OnDevice, steps: dict[str, np.ndarray]) -> tf.data.Dataset:
    """Return the argument of ``fit`` that makes these steps; each array has one row per step."""
    del model
    # Keras also disables these for arrays: optimising so small a pipeline would take 40 ms of each call of
    # fit and gain nothing.
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    return tf.data.Dataset.from_tensor_slices(steps).with_options(options)


def to_host(losses: list[Tensor]) -> np.ndarray:
    """Copy scalars on the device to one array ``(steps,)``, in one transfer."""
    return tf.stack(losses).numpy()


def synchronize(model: OnDevice) -> None:
    """Wait for every device."""
    del model
    tf.test.experimental.sync_devices()


def peak_memory_bytes() -> int:
    """Return the peak of the GPU's allocator in bytes."""
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
