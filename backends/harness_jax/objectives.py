"""The training step of each kind of objective, as a pure function from state to state."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
from jax import numpy as jnp

from harness.spec import Adversarial, Task
from harness_jax.calls import Weights
from harness_jax.layers import Forward
from harness_jax.losses import LabelRules, fake_loss, penalty, real_loss, supervised_loss
from harness_jax.optimizers import Moments, Rates, update


class State(NamedTuple):
    """Everything that training changes: by network parameters, moments and the layers' state; steps."""

    parameters: dict[str, dict[str, jax.Array]]
    moments: dict[str, Moments]
    layers: dict[str, dict[str, jax.Array]]
    steps: jax.Array

    def weights(self, network: str) -> dict[str, jax.Array]:
        """The network's parameters and its layers' state, by name."""
        return self.parameters[network] | self.layers[network]


class Batch(NamedTuple):
    """What a step sees: inputs, targets (or a generator's latents), a random key, rates, label rules."""

    inputs: jax.Array
    second: jax.Array
    key: jax.Array
    rates: Rates
    rules: LabelRules


#: Maps a state and a batch to the next state and the loss that the step minimised: ``()``, or ``(2,)`` for
#: two networks.
Step = Callable[[State, Batch], tuple[State, jax.Array]]


def _supervised_step(task: Task, forward: Forward) -> Step:
    def step(state: State, batch: Batch) -> tuple[State, jax.Array]:
        def minimized(parameters: Weights) -> tuple[jax.Array, Weights]:
            outputs, layers = forward({**parameters, **state.layers["model"]}, batch.inputs, batch.key)
            loss = supervised_loss(task.objective, outputs, batch.second, batch.rules)
            return loss + penalty(task, parameters), layers

        parameters, moments = state.parameters["model"], state.moments["model"]
        (loss, layers), gradients = jax.value_and_grad(minimized, has_aux=True)(parameters)
        number = state.steps + 1
        parameters, moments = update(task, parameters, gradients, moments, number, batch.rates)
        return State({"model": parameters}, {"model": moments}, {"model": layers}, number), loss

    return step


def _adversarial_step(task: Task, generate: Forward, discriminate: Forward) -> Step:
    def step(state: State, batch: Batch) -> tuple[State, jax.Array]:
        keys = [jax.random.fold_in(batch.key, call) for call in range(3)]
        generator, discriminator = state.parameters["generator"], state.parameters["discriminator"]
        # One forward pass of the generator serves both losses; its gradient is computed below.
        fakes, to_generator = jax.vjp(lambda p: generate(p, batch.second, keys[0])[0], generator)

        def discriminator_loss(parameters: Weights) -> jax.Array:
            logits, _ = discriminate(parameters, jnp.concatenate([batch.inputs, fakes]), keys[1])
            on_real, on_fake = jnp.split(logits, 2)
            return (real_loss(on_real) + fake_loss(on_fake)) / 2.0 + penalty(task, parameters)

        def fooled(fakes: jax.Array) -> jax.Array:
            return real_loss(discriminate(discriminator, fakes, keys[2])[0])

        number = state.steps + 1
        first_loss, gradients = jax.value_and_grad(discriminator_loss)(discriminator)
        discriminator, moments = update(
            task, discriminator, gradients, state.moments["discriminator"], number, batch.rates
        )
        loss, to_fakes = jax.value_and_grad(fooled)(fakes)
        second_loss, of_penalty = jax.value_and_grad(lambda p: loss + penalty(task, p))(generator)
        gradients = jax.tree.map(jnp.add, to_generator(to_fakes)[0], of_penalty)
        generator, generator_moments = update(
            task, generator, gradients, state.moments["generator"], number, batch.rates
        )
        return State(
            {"generator": generator, "discriminator": discriminator},
            {"generator": generator_moments, "discriminator": moments},
            state.layers,
            number,
        ), jnp.stack([first_loss, second_loss])

    return step


def step_of(task: Task, forwards: Mapping[str, Forward]) -> Step:
    """The training step of a task whose networks are ``forwards``."""
    if isinstance(task.objective, Adversarial):
        return _adversarial_step(task, forwards["generator"], forwards["discriminator"])
    return _supervised_step(task, forwards["model"])
