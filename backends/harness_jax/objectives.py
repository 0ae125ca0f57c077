"""The loss and the training step of each kind of objective, as pure functions.

The rules of an update are those of :mod:`harness.backend_support.rules`, in JAX's arrays.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from jax import numpy as jnp

from harness.backend_support import feeding, rules
from harness.spec import Adversarial, BinaryClassification, Classification, Objective, Regression, Task
from harness.tracing.user_code import own_callable
from harness_jax.layers import Weights
from harness_jax.networks import Forward
from harness_jax.optimizers import OwnOptimizer


class Rates(NamedTuple):
    """What scales an update, as data, so that trainings that differ only in it share compiled code."""

    learning_rate: jax.Array
    weight_decay: jax.Array


class LabelRules(NamedTuple):
    """How a class counts in the loss, as data, so that trainings that differ only in it share compiled code.

    ``class_weights (classes,)`` are ones and ``smoothing ()`` is zero where the objective has none.
    """

    class_weights: jax.Array
    smoothing: jax.Array


def label_rules(task: Task) -> tuple[tuple[float, ...], float]:
    """Return the weight of each class, ones where the objective has none, and the label smoothing."""
    match task.objective:
        case Classification(weights, smoothing):
            return weights or (1.0,) * task.networks["model"].output_shape()[-1], smoothing
        case BinaryClassification(weights):
            return weights or (1.0, 1.0), 0.0
        case _:
            return (), 0.0


def supervised_loss(
    objective: Objective, outputs: jax.Array, targets: jax.Array, rules: LabelRules
) -> jax.Array:
    """Compute the mean loss of a batch ``()``."""
    match objective:
        case Regression(loss):
            return _REGRESSION_TERMS[loss](outputs - targets).mean()
        case BinaryClassification():
            return _binary_loss(objective.loss, outputs, targets, rules)
        case Classification(loss="cross_entropy"):
            return _cross_entropy(outputs, targets, rules)
        case Classification():
            values = jax.nn.softmax(outputs) if objective.loss == "mse_softmax" else outputs
            return _squared_error(values, targets, rules)
        case _:
            raise ValueError(f"{objective} is no supervised objective")


def _huber(errors: jax.Array) -> jax.Array:
    sizes = jnp.abs(errors)
    return jnp.where(sizes <= 1.0, 0.5 * jnp.square(errors), sizes - 0.5)


#: From the errors of a regression to the terms of its loss.
_REGRESSION_TERMS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "mse": jnp.square,
    "mae": jnp.abs,
    "huber": _huber,
}


def _cross_entropy(logits: jax.Array, targets: jax.Array, rules: LabelRules) -> jax.Array:
    logs = jax.nn.log_softmax(logits)
    chosen, weights = _chosen(logits, targets, rules)
    at_class = jnp.where(chosen, (1.0 - rules.smoothing) * logs, 0.0)
    # Not multiplied by zero: an infinite logit of another class must not make the loss NaN.
    everywhere = jnp.where(rules.smoothing > 0.0, rules.smoothing / logits.shape[-1] * logs, 0.0)
    return -(weights * (at_class + everywhere)).sum(axis=-1).mean()


def _chosen(logits: jax.Array, targets: jax.Array, rules: LabelRules) -> tuple[jax.Array, jax.Array]:
    """Return a mask ``(..., classes)`` of each target's class, and the weight of that class ``(..., 1)``.

    The gradient of indexing would be a scatter, which XLA's CPU compiler runs element by element.
    """
    chosen = targets[..., None] == jnp.arange(logits.shape[-1], dtype=targets.dtype)
    return chosen, jnp.where(chosen, rules.class_weights, 0.0).sum(axis=-1, keepdims=True)


def _squared_error(values: jax.Array, targets: jax.Array, rules: LabelRules) -> jax.Array:
    chosen, weights = _chosen(values, targets, rules)
    return (weights * jnp.square(values - chosen)).mean()


def _binary_loss(loss: str, logits: jax.Array, targets: jax.Array, rules: LabelRules) -> jax.Array:
    logits, positive = logits.reshape(targets.shape), targets == 1
    if loss == "mse_sigmoid":
        losses = jnp.square(jax.nn.sigmoid(logits) - positive)
    else:
        losses = jnp.where(positive, jax.nn.softplus(-logits), jax.nn.softplus(logits))
    return (losses * jnp.where(positive, rules.class_weights[1], rules.class_weights[0])).mean()


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
    """What a step sees: inputs, targets (or a generator's latents), a key, rates, label rules, noise."""

    inputs: jax.Array
    second: jax.Array
    key: jax.Array
    rates: Rates
    rules: LabelRules
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
    rates: Rates,
) -> tuple[dict[str, jax.Array], rules.Moments]:
    """Compute the parameters and moments after step ``number``, counted from 1."""
    step = number.astype(rates.learning_rate.dtype)
    # Without decay this multiplies by 1, which costs nothing within the loop over the values.
    return rules.updated(
        jnp, task, parameters, gradients, moments, step, rates.learning_rate, rates.weight_decay
    )


def _loss_of(task: Task) -> Callable[[jax.Array, jax.Array, LabelRules], jax.Array]:
    """Return the loss of a batch by outputs, targets and rules: the user's own, or the objective's."""
    own = feeding.own_part(task, "loss", own_callable)
    if own is None:
        return functools.partial(supervised_loss, task.objective)
    return lambda outputs, targets, _rules: own(outputs, targets).mean()


def _supervised_step(task: Task, forward: Forward, own: OwnOptimizer | None) -> Step:
    loss_of = _loss_of(task)

    def step(state: State, batch: Batch) -> tuple[State, jax.Array]:
        def minimized(parameters: Weights) -> tuple[jax.Array, Weights]:
            outputs, layers = forward({**parameters, **state.layers["model"]}, batch.inputs, batch.key)
            loss = loss_of(outputs, batch.second, batch.rules)
            return loss + _penalty(task, parameters), layers

        parameters, moments = state.parameters["model"], state.moments["model"]
        (loss, layers), gradients = jax.value_and_grad(minimized, has_aux=True)(parameters)
        number = state.steps + 1
        if own is None:
            parameters, moments = _updated(task, parameters, gradients, moments, number, batch.rates)
        else:
            parameters, moments = own.updated(parameters, gradients, moments, batch.rates.learning_rate)
        return State({"model": parameters}, {"model": moments}, {"model": layers}, number), loss

    return step


def _private_step(task: Task, forward: Forward) -> Step:
    """Build a step of DP-SGD; see :class:`harness.spec.Privacy`."""
    privacy, batch_size = task.privacy, task.batch_size
    assert privacy is not None and batch_size is not None  # noqa: S101, PT018

    def step(state: State, batch: Batch) -> tuple[State, jax.Array]:
        def loss_of(parameters: Weights, x: jax.Array, target: jax.Array, key: jax.Array) -> jax.Array:
            outputs, _ = forward({**parameters, **state.layers["model"]}, x[None], key)
            return supervised_loss(task.objective, outputs, target[None], batch.rules)

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
        parameters, moments = _updated(task, parameters, gradients, moments, number, batch.rates)
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
            task, discriminator, gradients, state.moments["discriminator"], number, batch.rates
        )
        loss, to_fakes = jax.value_and_grad(fooled)(fakes)
        second_loss, of_penalty = jax.value_and_grad(lambda p: loss + _penalty(task, p))(generator)
        gradients = jax.tree.map(jnp.add, to_generator(to_fakes)[0], of_penalty)
        generator, generator_moments = _updated(
            task, generator, gradients, state.moments["generator"], number, batch.rates
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
