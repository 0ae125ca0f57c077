"""Keras on JAX: what differs between engines, under the same names in each engine's file."""

import functools
from collections.abc import Callable
from importlib import metadata
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from harness.backend_support.feeding import is_augmented
from harness.layers import LEAKY_RELU_SLOPE
from harness.spec import Precision, Unsupported
from harness_keras import objectives, optimizers
from harness_keras.objectives import OnDevice, TwoNetworks, windows

Tensor = Any

Dense = keras.layers.Dense
OPTIMIZERS = optimizers.OPTIMIZERS
#: Keras's own goes through float32 on JAX; cuDNN accepts this one too.
tanh = jnp.tanh
sigmoid = keras.activations.sigmoid
gelu = functools.partial(jax.nn.gelu, approximate=False)
gelu_tanh = jax.nn.gelu


def prepare(threads: int) -> dict[str, str]:
    """Describe this JAX. Its threads are limited by the CPUs to which the harness bound the process."""
    del threads
    # NVIDIA's TF32 keeps only ten bits of the mantissa.
    jax.config.update("jax_default_matmul_precision", "highest")
    # With a cache on disk the first step would not include the compilation.
    jax.config.update("jax_enable_compilation_cache", False)
    return {
        "engine": "jax",
        "jax": jax.__version__,
        "jaxlib": metadata.version("jaxlib"),
        "tf32": "off",
        "compilation_cache": "off",
    }


def select(device: str, precision: Precision) -> str:
    """Return the name of JAX's device for ``device``; enable 64 bits if ``precision`` needs them."""
    jax.config.update("jax_enable_x64", precision == "float64")
    if device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    first = jax.devices()[0]
    if device.startswith("cuda") and first.platform != "gpu":
        raise Unsupported(f"device {device} was requested, but JAX sees no GPU, only {first.platform}")
    if first.platform == "cpu":
        return "cpu"
    kind = {"gpu": "cuda"}.get(first.platform, first.platform.lower())
    return f"{kind}:0 ({first.device_kind})"


def leaky_relu(x: Tensor) -> Tensor:
    """Compute ``x`` above zero, ``LEAKY_RELU_SLOPE * x`` elsewhere."""
    # JAX's own has slope 1 at zero, where many units are for pictures with empty margins.
    return jnp.where(x > 0, x, LEAKY_RELU_SLOPE * x)


class SupervisedModel(OnDevice, keras.Model):
    """A model whose training step takes the rows of its batch in data that stays on the device.

    The step follows Keras's guide to custom training steps in JAX. The data is an argument:
    captured, it would be compiled into the program as a constant.
    """

    def train_step(self, state: tuple[Any, ...], step: dict[str, Tensor]) -> tuple[Any, ...]:
        """Update once on ``indices (batch,)`` of inputs and targets; returns the minimised loss."""
        trainable, non_trainable, optimizer, metrics = state
        inputs, targets = _inputs_of(self, step), step["targets"][step["indices"]]
        if self.privacy is not None:
            loss, gradients = self._private_gradients(step, trainable, non_trainable, inputs, targets)
            trainable, non_trainable, optimizer = _updated(
                self, step, [trainable, non_trainable, optimizer], gradients
            )
            return {"loss": loss}, (trainable, non_trainable, optimizer, metrics)

        def loss_and_updates(trainable: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            outputs, updated, penalties = self.stateless_call(
                trainable, non_trainable, inputs, training=True, return_losses=True
            )
            return self.loss_terms(targets, outputs).mean() + sum(penalties), updated

        (loss, non_trainable), gradients = jax.value_and_grad(loss_and_updates, has_aux=True)(trainable)
        trainable, non_trainable, optimizer = _updated(
            self, step, [trainable, non_trainable, optimizer], gradients
        )
        return {"loss": loss}, (trainable, non_trainable, optimizer, metrics)

    def _private_gradients(
        self,
        step: dict[str, Tensor],
        trainable: list[Tensor],
        non_trainable: list[Tensor],
        inputs: Tensor,
        targets: Tensor,
    ) -> tuple[Tensor, list[Tensor]]:
        """Compute the loss and the gradients of a step of DP-SGD; see :class:`harness.spec.Privacy`."""

        def loss_of(trainable: list[Tensor], x: Tensor, target: Tensor) -> Tensor:
            outputs, _ = self.stateless_call(trainable, non_trainable, x[None], training=True)
            return self.loss_terms(target[None], outputs).mean()

        losses, each = jax.vmap(jax.value_and_grad(loss_of), (None, 0, 0))(trainable, inputs, targets)

        def drawn(count: int) -> Tensor:
            key = jax.random.wrap_key_data(step["noise_seeds"].astype(jnp.uint32), impl="threefry2x32")
            return jax.random.normal(key, (count,), losses.dtype)

        combined = objectives.private_gradients(jnp, self, each, step, drawn)

        def penalty_of(values: list[Tensor]) -> Tensor:
            return jnp.asarray(objectives.penalty(self.trainable_variables, values), losses.dtype)

        penalty, of_penalty = jax.value_and_grad(penalty_of)(trainable)
        loss = jnp.where(step["included"], losses, 0.0).sum() / self.batch_size + penalty
        return loss, [ours + own for ours, own in zip(combined, of_penalty, strict=True)]


class _Optimizers:
    """The optimizers of two networks in the form from which ``fit`` reads their state."""

    built = True

    def __init__(self, *optimizers: keras.optimizers.Optimizer) -> None:
        self.variables = [variable for optimizer in optimizers for variable in optimizer.variables]


class AdversarialModel(TwoNetworks):
    """A generator and a discriminator, trained by the step of Keras's DCGAN example, written for JAX."""

    def __init__(self, generator: keras.Model, discriminator: keras.Model, jit_compile: bool | str) -> None:
        super().__init__(generator, discriminator, jit_compile)
        self.optimizer = _Optimizers(generator.optimizer, discriminator.optimizer)

    def train_step(self, state: tuple[Any, ...], step: dict[str, Tensor]) -> tuple[Any, ...]:
        """Update each network once; see :class:`harness.spec.Adversarial`."""
        *states, metrics = state
        # In each list of variables the generator's come first.
        lengths = (
            len(self.generator.trainable_variables),
            len(self.generator.non_trainable_variables),
            len(self.generator.optimizer.variables),
        )
        generator = [values[:length] for values, length in zip(states, lengths, strict=True)]
        discriminator = [values[length:] for values, length in zip(states, lengths, strict=True)]
        pictures = _inputs_of(self, step)

        def make(trainable: list[Tensor]) -> tuple[tuple[Tensor, Tensor], list[Tensor]]:
            made, updated, penalties = self.generator.stateless_call(
                trainable, generator[1], step["latents"], training=True, return_losses=True
            )
            return (made.astype(pictures.dtype), sum(penalties, jnp.zeros((), pictures.dtype))), updated

        (made, penalty), pull_back, generator[1] = jax.vjp(make, generator[0], has_aux=True)
        discriminator_loss, discriminator = self._train_discriminator(step, discriminator, pictures, made)

        def fooled(made: Tensor) -> tuple[Tensor, list[Tensor]]:
            logits, updated = self.discriminator.stateless_call(*discriminator[:2], made, training=True)
            return self.loss_terms(jnp.ones_like(logits), logits).mean(), updated

        (loss, discriminator[1]), gradient = jax.value_and_grad(fooled, has_aux=True)(made)
        (gradients,) = pull_back((gradient, jnp.ones_like(penalty)))
        generator = _updated(self.generator, step, generator, gradients)
        losses = {"discriminator_loss": discriminator_loss, "generator_loss": loss + penalty}
        both = (first + second for first, second in zip(generator, discriminator, strict=True))
        return losses, (*both, metrics)

    def _train_discriminator(
        self, step: dict[str, Tensor], state: list[list[Tensor]], pictures: Tensor, made: Tensor
    ) -> tuple[Tensor, list[list[Tensor]]]:
        def loss_and_updates(trainable: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            logits, updated, penalties = self.discriminator.stateless_call(
                trainable, state[1], jnp.concatenate([pictures, made]), training=True, return_losses=True
            )
            targets = jnp.zeros_like(logits).at[: len(pictures)].set(1)
            return self.loss_terms(targets, logits).mean() + sum(penalties), updated

        (loss, state[1]), gradients = jax.value_and_grad(loss_and_updates, has_aux=True)(state[0])
        return loss, _updated(self.discriminator, step, state, gradients)


def _updated(
    network: keras.Model, step: dict[str, Tensor], state: list[list[Tensor]], gradients: list[Tensor]
) -> list[list[Tensor]]:
    """Update a network; return its trainable, other and optimizer's variables."""
    trainable, non_trainable, optimizer = state
    if "learning_rates" in step:
        rate, variables = network.optimizer.learning_rate, network.optimizer.variables
        optimizer = [
            step["learning_rates"] if variable is rate else value
            for variable, value in zip(variables, optimizer, strict=True)
        ]
    trainable, optimizer = network.optimizer.stateless_apply(optimizer, gradients, trainable)
    return [trainable, non_trainable, optimizer]


def _inputs_of(model: OnDevice, step: dict[str, Tensor]) -> Tensor:
    """Collect the inputs of a step by one gather, augmented if the draws ask for it."""
    if "augmented" in step:
        return step["augmented"]
    inputs = step["inputs"]
    if not is_augmented(step):
        return inputs[step["indices"]]
    height, width = (axis - 2 * model.crop for axis in inputs.shape[1:3])
    return inputs[windows(step, height, width)]


def differentiator(
    model: keras.Model, picked: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[np.ndarray, np.ndarray], tuple[Tensor, Tensor]]:
    """Return a function that returns gradients of the ``picked`` outputs by the inputs, and the outputs."""

    def differentiate(variables: tuple[Any, Any], inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        def summed(x: Tensor) -> tuple[Tensor, Tensor]:
            outputs, _ = model.stateless_call(*variables, x, training=False)
            chosen = picked(outputs, targets)
            return chosen.sum(), chosen

        return jax.grad(summed, has_aux=True)(inputs)

    compiled = jax.jit(differentiate)

    def call(inputs: np.ndarray, targets: np.ndarray) -> tuple[Tensor, Tensor]:
        kinds = model.trainable_variables, model.non_trainable_variables
        values = tuple([variable.value for variable in variables] for variables in kinds)
        return compiled(values, inputs, targets)

    return call


class _Batches(keras.utils.PyDataset):
    def __init__(self, resident: dict[str, Tensor], steps: dict[str, np.ndarray]) -> None:
        super().__init__()
        self._resident, self._steps = resident, steps

    def __len__(self) -> int:
        return len(self._steps["indices"])

    def __getitem__(self, step: int) -> dict[str, Tensor | np.ndarray]:
        return self._resident | {name: array[step] for name, array in self._steps.items()}


def batches(model: OnDevice, steps: dict[str, np.ndarray]) -> keras.utils.PyDataset:
    """Return the argument of ``fit`` that makes these steps; each array has one row per step."""
    resident = {"inputs": model.inputs_on_device, "targets": model.targets_on_device}
    return _Batches(
        resident, {name: a.astype(np.int32) if a.dtype == np.int64 else a for name, a in steps.items()}
    )


def to_host(losses: list[Tensor]) -> np.ndarray:
    """Copy scalars on the device to one array ``(steps,)``; all transfers start before the first wait."""
    return np.array(jax.device_get(losses))


def synchronize(model: Any) -> None:
    """Wait for the last update, which depends on all before it."""
    jax.block_until_ready([variable.value for variable in model.variables])


def peak_memory_bytes() -> int | None:
    """Return the peak of the GPU's allocator in bytes; None if it keeps no statistics."""
    statistics = jax.devices()[0].memory_stats() or {}
    return int(statistics["peak_bytes_in_use"]) if "peak_bytes_in_use" in statistics else None
