"""The training step of each kind of objective, as pure functions.

Losses and the rules of an update are those of :mod:`harness.backend_support.rules`, in JAX's arrays.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from jax import numpy as jnp

from harness.backend_support import feeding, rules
from harness.spec import Adversarial, Task
from harness.tracing.user_code import own_callable
from harness_jax.layers import Weights
from harness_jax.networks import Forward
from harness_jax.optimizers import OwnOptimizer


class State(NamedTuple):
    """Everything that training changes: by network parameters, moments and the layers' state; steps."""

    parameters: dict[str, dict[str, jax.Array]]
    moments: dict[str, Any]
    """Those of the rules, or the memory of the user's own optimizer."""
    layers: dict[str, dict[str, jax.Array]]
    steps: jax.Array

    def weights(self, network: str) -> dict[str, jax.Array]:
        """Return the network's parameters and its layers' state by name."""
        return self.parameters[network] | self.layers[network]


class Batch(NamedTuple):
    """What a step sees: inputs, targets (or a generator's latents), a key, the learning rate, noise."""

    inputs: jax.Array
    second: jax.Array
    key: jax.Array
    rate: jax.Array
    private: Weights
    """Of DP-SGD: ``included``, and ``noise_seeds`` or the noise of each parameter by its name."""


#: Maps a state and a batch to the next state and the loss that the step minimised: ``()``, or ``(2,)`` for
#: two networks.
Step = Callable[[State, Batch], tuple[State, jax.Array]]


def _penalty(task: Task, parameters: Weights) -> jax.Array | float:
    return sum(rules.penalty_terms(jnp, task.penalty, parameters))


def _updated(
    task: Task,
    parameters: Weights,
    gradients: Weights,
    moments: rules.Moments,
    number: jax.Array,
    rate: jax.Array,
) -> tuple[dict[str, jax.Array], rules.Moments]:
    """Compute the parameters and moments after step ``number``, counted from 1."""
    return rules.updated(jnp, task, parameters, gradients, moments, number.astype(rate.dtype), rate)


def _loss_of(task: Task) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Return the mean loss of a batch by outputs and targets: the user's own, or the objective's."""
    own = feeding.own_part(task, "loss", own_callable)
    if own is not None:
        return lambda outputs, targets: own(outputs, targets).mean()
    of_classes = getattr(task.objective, "class_weights", ())

    def loss(outputs: jax.Array, targets: jax.Array) -> jax.Array:
        weights = jnp.array(of_classes, outputs.dtype) if of_classes else None
        return rules.supervised_loss(jnp, task.objective, outputs, targets, weights)

    return loss


def _supervised_step(task: Task, forward: Forward, own: OwnOptimizer | None) -> Step:
    loss_of = _loss_of(task)

    def step(state: State, batch: Batch) -> tuple[State, jax.Array]:
        def minimized(parameters: Weights) -> tuple[jax.Array, Weights]:
            outputs, layers = forward({**parameters, **state.layers["model"]}, batch.inputs, batch.key)
            loss = loss_of(outputs, batch.second)
            return loss + _penalty(task, parameters), layers

        parameters, moments = state.parameters["model"], state.moments["model"]
        (loss, layers), gradients = jax.value_and_grad(minimized, has_aux=True)(parameters)
        number = state.steps + 1
        if own is None:
            parameters, moments = _updated(task, parameters, gradients, moments, number, batch.rate)
        else:
            parameters, moments = own.updated(parameters, gradients, moments, batch.rate)
        return State({"model": parameters}, {"model": moments}, {"model": layers}, number), loss

    return step


def _private_step(task: Task, forward: Forward) -> Step:
    """Build a step of DP-SGD; see :class:`harness.spec.Privacy`."""
    privacy, batch_size = task.privacy, task.batch_size
    assert privacy is not None and batch_size is not None  # noqa: S101, PT018
    batch_loss = _loss_of(task)

    def step(state: State, batch: Batch) -> tuple[State, jax.Array]:
        def loss_of(parameters: Weights, x: jax.Array, target: jax.Array, key: jax.Array) -> jax.Array:
            outputs, _ = forward({**parameters, **state.layers["model"]}, x[None], key)
            return batch_loss(outputs, target[None])

        parameters, moments = state.parameters["model"], state.moments["model"]
        included = batch.private["included"]
        keys = jax.random.split(batch.key, len(included))
        by_sample = jax.vmap(jax.value_and_grad(loss_of), in_axes=(None, 0, 0, 0))
        losses, each = by_sample(parameters, batch.inputs, batch.second, keys)
        noise = _noise(batch.private, parameters)
        gradients = rules.private_gradients(jnp, privacy, each, included, noise, batch_size)
        penalty, of_penalty = jax.value_and_grad(lambda p: jnp.asarray(_penalty(task, p), losses.dtype))(
            parameters
        )
        gradients = jax.tree.map(jnp.add, gradients, of_penalty)
        number = state.steps + 1
        parameters, moments = _updated(task, parameters, gradients, moments, number, batch.rate)
        loss = jnp.where(included, losses, 0.0).sum() / batch_size + penalty
        return State({"model": parameters}, {"model": moments}, state.layers, number), loss

    return step


def _noise(private: Weights, parameters: Weights) -> dict[str, jax.Array]:
    """Return standard normal draws of the parameters' shapes: the harness's, or by the step's own seeds."""
    if "noise_seeds" not in private:
        return {name: private[name] for name in parameters}
    key = jax.random.wrap_key_data(private["noise_seeds"].astype(jnp.uint32), impl="threefry2x32")
    some = next(iter(parameters.values()))
    sizes = [w.size for w in parameters.values()]
    drawn = jax.random.normal(key, (sum(sizes),), some.dtype)
    starts = [sum(sizes[:place]) for place in range(1, len(sizes))]
    parts = jnp.split(drawn, starts)
    return {name: part.reshape(w.shape) for (name, w), part in zip(parameters.items(), parts, strict=True)}


def _adversarial_step(task: Task, generate: Forward, discriminate: Forward) -> Step:
    def step(state: State, batch: Batch) -> tuple[State, jax.Array]:
        keys = [jax.random.fold_in(batch.key, call) for call in range(3)]
        generator, discriminator = state.parameters["generator"], state.parameters["discriminator"]
        # One forward pass of the generator serves both losses; its gradient is computed below.
        fakes, to_generator = jax.vjp(lambda p: generate(p, batch.second, keys[0])[0], generator)

        def discriminator_loss(parameters: Weights) -> jax.Array:
            logits, _ = discriminate(parameters, jnp.concatenate([batch.inputs, fakes]), keys[1])
            on_real, on_fake = jnp.split(logits, 2)
            loss = (rules.real_loss(jnp, on_real) + rules.fake_loss(jnp, on_fake)) / 2.0
            return loss + _penalty(task, parameters)

        def fooled(fakes: jax.Array) -> jax.Array:
            return rules.real_loss(jnp, discriminate(discriminator, fakes, keys[2])[0])

        number = state.steps + 1
        first_loss, gradients = jax.value_and_grad(discriminator_loss)(discriminator)
        discriminator, moments = _updated(
            task, discriminator, gradients, state.moments["discriminator"], number, batch.rate
        )
        loss, to_fakes = jax.value_and_grad(fooled)(fakes)
        second_loss, of_penalty = jax.value_and_grad(lambda p: loss + _penalty(task, p))(generator)
        gradients = jax.tree.map(jnp.add, to_generator(to_fakes)[0], of_penalty)
        generator, generator_moments = _updated(
            task, generator, gradients, state.moments["generator"], number, batch.rate
        )
        return State(
            {"generator": generator, "discriminator": discriminator},
            {"generator": generator_moments, "discriminator": moments},
            state.layers,
            number,
        ), jnp.stack([first_loss, second_loss])

    return step


def step_of(task: Task, forwards: Mapping[str, Forward], own: OwnOptimizer | None) -> Step:
    """Build the training step of a task whose networks are ``forwards``; ``own`` is the user's optimizer."""
    if isinstance(task.objective, Adversarial):
        return _adversarial_step(task, forwards["generator"], forwards["discriminator"])
    if task.privacy is not None:
        return _private_step(task, forwards["model"])
    return _supervised_step(task, forwards["model"], own)
