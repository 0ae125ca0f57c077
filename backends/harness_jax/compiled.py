"""The compiled functions of a task: the training step, and the outputs of each network.

Programs of the same task share them, so a process that builds many, as one that certifies does, compiles
once for each shape. A run is timed in a process of its own, whose first program compiles in its first step.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from jax import numpy as jnp

from harness.backend_support import feeding
from harness.network import Network
from harness.spec import Task
from harness.spec.backend import Precision
from harness_jax.layers import Weights
from harness_jax.native import shared
from harness_jax.networks import forward_of
from harness_jax.objectives import Batch, State, step_of
from harness_jax.optimizers import own_optimizer


class Given(NamedTuple):
    """What stays the same throughout a training: the data on the device, and the seed.

    ``inputs`` are padded with zeros for cutting windows.
    """

    inputs: jax.Array
    targets: jax.Array
    seed: jax.Array


TrainStep = Callable[[State, Given, dict[str, Any]], tuple[State, jax.Array]]
Predictor = Callable[[Weights, Any], jax.Array]
Differentiator = Callable[[Weights, Any, Any], tuple[jax.Array, jax.Array]]


@shared
def train_step_of(task: Task, precision: Precision) -> TrainStep:
    """Return the compiled step, which maps a state, arrays and the step's draws to the next state and loss.

    The old state is donated: its memory is overwritten. Raises as :func:`harness_jax.networks.forward_of`.
    """
    forwards = {name: forward_of(network, precision) for name, network in task.networks.items()}
    step = step_of(task, forwards, own_optimizer(task, precision))

    @functools.partial(jax.jit, donate_argnums=0)
    def train_step(state: State, given: Given, draws: dict[str, Any]) -> tuple[State, jax.Array]:
        return step(state, _batch(task, given, draws, state.steps))

    return train_step


@shared
def predictor_of(network: Network, precision: Precision) -> Predictor:
    """Compile the network in evaluation as a function; raises as :func:`harness_jax.networks.forward_of`."""
    forward = forward_of(network, precision)
    predictor: Predictor = jax.jit(lambda weights, inputs: forward(weights, inputs)[0])
    return predictor


@shared
def differentiator_of(network: Network, precision: Precision) -> Differentiator:
    """Compile the gradients by the inputs; see :meth:`harness.spec.Program.input_gradients`."""
    forward = forward_of(network, precision)
    embedded = feeding.begins_with_embedding(network)

    def differentiate(weights: Weights, inputs: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
        def picked(x: jax.Array) -> tuple[jax.Array, jax.Array]:
            outputs = forward(weights, x, embedded=embedded)[0].reshape(len(x), -1)
            chosen = jnp.take_along_axis(outputs, targets[:, None], axis=1)[:, 0]
            return chosen.sum(), chosen

        return jax.grad(picked, has_aux=True)(inputs)

    return jax.jit(differentiate)


def _gathered(crop: int, inputs: jax.Array, draws: Mapping[str, jax.Array]) -> jax.Array:
    """Collect the inputs of a step by one gather, augmented if the draws ask for it."""
    rows = draws["indices"]
    if "augmented" in draws:
        return draws["augmented"]
    if not feeding.is_augmented(draws):
        return inputs[rows]
    y, x = (jnp.arange(axis - 2 * crop, dtype=rows.dtype) for axis in inputs.shape[1:3])
    return inputs[feeding.windows(jnp.where, draws, y, x)]


def _batch(task: Task, given: Given, draws: Mapping[str, jax.Array], step: jax.Array) -> Batch:
    """Collect the arguments of a step; ``step`` is the number of steps before it."""
    return Batch(
        _gathered(task.augmentation.crop, given.inputs, draws),
        draws["latents"] if "latents" in draws else given.targets[draws["indices"]],
        jax.random.fold_in(jax.random.key(given.seed), step),
        draws["learning_rates"],
        {
            name: array
            for name, array in draws.items()
            if name in {"included", "noise_seeds"} or name in task.networks["model"].parameters()
        }
        if task.privacy is not None
        else {},
    )
