"""my_jax_program.py: a classifier as a compiled training step over data on the device."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from harness.backend_support.rules import moment_count, penalty_terms, supervised_loss, updated
from harness.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D
from harness.spec import Augmentation, Plan, Program, Samples, Steps

PREDICT_ROWS = 256
Arrays = dict[str, jax.Array]


class MyJaxProgram(Program):
    """``state`` is all that training changes: weights, the optimizer's moments, and the number of steps."""

    device = "cpu"

    def __init__(self, plan: Plan, data: Samples) -> None:
        self.task, self.seed, self.double = plan.task, plan.seed, plan.precision == "float64"
        self._set_precision()
        self.places = self.task.networks["model"].placed()
        crop, inputs = self.task.augmentation.crop, data.inputs
        if crop:  # padded once, so that a crop is a window of the padded picture
            inputs = np.pad(inputs, ((0, 0), (crop, crop), (crop, crop), (0, 0)))
        self.data = jnp.array(inputs), jnp.array(data.targets, np.int32)
        shapes = {name: parameter.shape for name, parameter in self.task.parameters().items()}
        weights = {name: jnp.zeros(shape, inputs.dtype) for name, shape in shapes.items()}
        kept = range(moment_count(self.task.optimizer))
        moments = {name: tuple(jnp.zeros_like(w) for _ in kept) for name, w in weights.items()}
        self.state = {"weights": weights, "moments": moments, "steps": jnp.array(0, np.int32)}
        # The old state is donated: the new one takes its memory, and no step copies the weights.
        self.step = jax.jit(self._step, donate_argnums=0)
        self.outputs = jax.jit(self._forward)

    def _set_precision(self) -> None:
        """Set JAX's switch, which is global: programs of both precisions may exist side by side."""
        jax.config.update("jax_enable_x64", self.double)

    # What is compiled.

    def _forward(self, weights: Arrays, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """Logits of inputs ``(n, *input)``; with the random key of a step dropout is applied."""
        for number, place in enumerate(self.places):
            name, layer = f"model/{place.name}/", place.layer
            match layer:
                case Conv2D():  # canonical layout is JAX's: pictures NHWC, kernels HWIO
                    padding = [layer.same_padding(axis) for axis in place.input_shape[:2]]
                    strides, axes = (layer.strides,) * 2, ("NHWC", "HWIO", "NHWC")
                    x = lax.conv_general_dilated(
                        x, weights[name + "kernel"], strides, padding, dimension_numbers=axes
                    )
                    x += weights[name + "bias"]
                case Dense():
                    x = x @ weights[name + "kernel"] + weights[name + "bias"]
                case MaxPool2D(size):  # its gradient goes to one of equal values, as the contract demands
                    window = (1, size, size, 1)
                    x = lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")
                case Flatten():
                    x = x.reshape(len(x), -1)
                case Dropout(rate) if key is not None and rate:
                    kept = jax.random.bernoulli(jax.random.fold_in(key, number), 1 - rate, x.shape)
                    x = jnp.where(kept, x / (1 - rate), 0)
            if getattr(layer, "activation", None) == "relu":
                x = jax.nn.relu(x)
        return x

    def _augmented(self, pictures: jax.Array, draws: Arrays) -> jax.Array:
        """The window of each padded picture, then mirrored where its draw says so."""
        shape = self.task.networks["model"].input_shape

        def augment(picture: jax.Array, offset: jax.Array, flip: jax.Array) -> jax.Array:
            window = lax.dynamic_slice(picture, (offset[0], offset[1], np.int32(0)), shape)
            return jnp.where(flip, window[:, ::-1], window)

        return jax.vmap(augment)(pictures, draws["offsets"], draws["flips"])

    def _loss(self, weights: Arrays, x: jax.Array, y: jax.Array, key: jax.Array) -> jax.Array:
        objective = self.task.objective
        of_classes = jnp.array(objective.class_weights, x.dtype) if objective.class_weights else None
        loss = supervised_loss(jnp, objective, self._forward(weights, x, key), y, of_classes)
        return loss + sum(penalty_terms(jnp, self.task.penalty, weights))

    def _step(self, state: dict[str, Any], data: tuple, draws: Arrays) -> tuple[dict[str, Any], jax.Array]:
        inputs, targets = data
        x, y = inputs[draws["indices"]], targets[draws["indices"]]
        if self.task.augmentation != Augmentation():
            x = self._augmented(x, draws)
        # The key follows from the number of steps, so the state of the random numbers is part of the state.
        key = jax.random.fold_in(jax.random.key(self.seed % 2**32), state["steps"])
        loss, gradients = jax.value_and_grad(self._loss)(state["weights"], x, y, key)
        steps = state["steps"] + 1
        number = steps.astype(x.dtype)
        weights, moments = updated(
            jnp, self.task, state["weights"], gradients, state["moments"], number, draws["rates"]
        )
        return {"weights": weights, "moments": moments, "steps": steps}, loss

    # What the harness calls.

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        """Copy the weights: training overwrites the donated memory, which is not the harness's to lose."""
        self._set_precision()
        dtype = self.data[0].dtype
        self.state["weights"] = {name: jnp.array(array, dtype) for name, array in weights.items()}

    def weights(self) -> dict[str, np.ndarray]:
        """Return copies: np.asarray would share the memory that the next step overwrites."""
        return {name: np.array(array) for name, array in self.state["weights"].items()}

    def train(self, steps: Steps) -> np.ndarray:
        """Make the steps, each by a call of the same compiled function."""
        self._set_precision()
        shape = steps.indices.shape
        draws = {"indices": steps.indices.astype(np.int32)}
        draws["rates"] = steps.learning_rates.astype(self.data[0].dtype)
        if self.task.augmentation != Augmentation():  # a task may use flips or crops alone
            draws["flips"] = np.zeros(shape, bool) if steps.flips is None else steps.flips
            offsets = np.zeros((*shape, 2)) if steps.offsets is None else steps.offsets
            draws["offsets"] = offsets.astype(np.int32)
        losses = []
        for number in range(len(steps.indices)):
            of_step = {name: array[number] for name, array in draws.items()}
            self.state, loss = self.step(self.state, self.data, of_step)
            losses.append(loss)
        return np.stack(jax.device_get(losses))  # waits for JAX, once for all steps

    def predict(self, inputs: np.ndarray, network: str = "model") -> np.ndarray:
        """Compute outputs in batches of one shape."""
        self._set_precision()
        outputs = [
            self.outputs(self.state["weights"], _padded(inputs[start : start + PREDICT_ROWS], PREDICT_ROWS))
            for start in range(0, len(inputs), PREDICT_ROWS)
        ]
        return np.concatenate([np.asarray(output) for output in outputs])[: len(inputs)]

    def synchronize(self) -> None:
        """Wait until the state is computed; JAX returns from a call before."""
        jax.block_until_ready(self.state)

    def training_state(self) -> dict[str, np.ndarray]:
        """Copy moments and the number of steps, from which dropout's keys follow too."""
        moments = {
            f"{name}/{place}": np.array(moment)
            for name, kept in self.state["moments"].items()
            for place, moment in enumerate(kept)
        }
        return moments | {"steps": np.array(self.state["steps"])}

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Copy back what :meth:`training_state` returned."""
        self._set_precision()
        self.state["moments"] = {
            name: tuple(jnp.array(state[f"{name}/{place}"]) for place in range(len(kept)))
            for name, kept in self.state["moments"].items()
        }
        self.state["steps"] = jnp.array(state["steps"])


def _padded(array: np.ndarray, length: int) -> np.ndarray:
    """The array with zeros after it, up to ``length`` rows."""
    return np.concatenate([array, np.zeros((length - len(array), *array.shape[1:]), array.dtype)])
