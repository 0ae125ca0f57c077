"""The training step of each kind of objective, as a pure function from state to state."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
from jax import numpy as jnp

from harness.spec import Adversarial, Classification, Regression, Task
from harness_jax.layers import Forward, Parameters
from harness_jax.optimizers import Moments, update


class State(NamedTuple):
    """Everything that training changes: parameters and moments by network, and the number of steps."""

    parameters: dict[str, dict[str, jax.Array]]
    moments: dict[str, Moments]
    steps: jax.Array


#: Maps a state, inputs, targets (or a generator's latents) and a random key to the next state and the loss
#: that the step minimised: ``()``, or ``(2,)`` for two networks.
Step = Callable[[State, jax.Array, jax.Array, jax.Array], tuple[State, jax.Array]]


def _cross_entropy(logits: jax.Array, targets: jax.Array, class_weights: tuple[float, ...]) -> jax.Array:
    logs = jax.nn.log_softmax(logits)
    # By a mask: the gradient of indexing is a scatter, which XLA's CPU compiler runs element by element.
    chosen = targets[:, None] == jnp.arange(logits.shape[1], dtype=targets.dtype)
    if class_weights:
        logs = logs * jnp.asarray(class_weights, logs.dtype)
    return -jnp.where(chosen, logs, 0.0).sum(axis=1).mean()


def _real_loss(logits: jax.Array) -> jax.Array:
    return jax.nn.softplus(-logits).mean()


def _fake_loss(logits: jax.Array) -> jax.Array:
    return jax.nn.softplus(logits).mean()


def _penalty(task: Task, parameters: Parameters) -> jax.Array | float:
    kernels = [w for name, w in parameters.items() if name.endswith("kernel")]
    total: jax.Array | float = 0.0
    if task.penalty.l1:
        total += task.penalty.l1 * sum(jnp.abs(w).sum() for w in kernels)
    if task.penalty.l2:
        total += task.penalty.l2 * sum(jnp.square(w).sum() for w in kernels)
    return total


def _supervised_step(task: Task, objective: Classification | Regression, forward: Forward) -> Step:
    def loss_of(outputs: jax.Array, targets: jax.Array) -> jax.Array:
        if isinstance(objective, Regression):
            return jnp.square(outputs - targets).mean()
        return _cross_entropy(outputs, targets, objective.class_weights)

    def step(state: State, inputs: jax.Array, targets: jax.Array, key: jax.Array) -> tuple[State, jax.Array]:
        def minimized(parameters: Parameters) -> jax.Array:
            return loss_of(forward(parameters, inputs, key), targets) + _penalty(task, parameters)

        parameters, moments = state.parameters["model"], state.moments["model"]
        loss, gradients = jax.value_and_grad(minimized)(parameters)
        number = state.steps + 1
        parameters, moments = update(task, parameters, gradients, moments, number)
        return State({"model": parameters}, {"model": moments}, number), loss

    return step


def _adversarial_step(task: Task, generate: Forward, discriminate: Forward) -> Step:
    def step(
        state: State, pictures: jax.Array, latents: jax.Array, key: jax.Array
    ) -> tuple[State, jax.Array]:
        keys = [jax.random.fold_in(key, call) for call in range(3)]
        generator, discriminator = state.parameters["generator"], state.parameters["discriminator"]
        # One forward pass of the generator serves both losses; its gradient is computed below.
        fakes, to_generator = jax.vjp(lambda p: generate(p, latents, keys[0]), generator)

        def discriminator_loss(parameters: Parameters) -> jax.Array:
            logits = discriminate(parameters, jnp.concatenate([pictures, fakes]), keys[1])
            on_real, on_fake = jnp.split(logits, 2)
            return (_real_loss(on_real) + _fake_loss(on_fake)) / 2.0 + _penalty(task, parameters)

        number = state.steps + 1
        first_loss, gradients = jax.value_and_grad(discriminator_loss)(discriminator)
        discriminator, moments = update(
            task, discriminator, gradients, state.moments["discriminator"], number
        )
        fooled, to_fakes = jax.value_and_grad(lambda x: _real_loss(discriminate(discriminator, x, keys[2])))(
            fakes
        )
        penalty, of_penalty = jax.value_and_grad(lambda p: fooled + _penalty(task, p))(generator)
        gradients = jax.tree.map(jnp.add, to_generator(to_fakes)[0], of_penalty)
        generator, generator_moments = update(task, generator, gradients, state.moments["generator"], number)
        return State(
            {"generator": generator, "discriminator": discriminator},
            {"generator": generator_moments, "discriminator": moments},
            number,
        ), jnp.stack([first_loss, penalty])

    return step


def step_of(task: Task, forwards: Mapping[str, Forward]) -> Step:
    """The training step of a task whose networks are ``forwards``."""
    match task.objective:
        case Adversarial():
            return _adversarial_step(task, forwards["generator"], forwards["discriminator"])
        case objective:
            return _supervised_step(task, objective, forwards["model"])
