"""A Keras program: a compiled model, its data on the device, and ``fit`` over blocks of steps."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import keras
import numpy as np

from harness.spec import Plan, Program, Samples, Steps
from harness_keras import network

_PREDICTION_BATCH_SIZE = 256


class _Losses(keras.callbacks.CallbackList):
    """The loss of each step, left on the device.

    Keras's own list turns each step's logs into Python floats, which waits for the device.
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__(add_history=True, model=model)
        self.values: list[Any] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        pass

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.values.append(logs["loss"])


class KerasProgram(Program):
    """One network trained by ``model.fit`` on one engine; see :class:`harness.spec.Program`."""

    def __init__(self, engine: ModuleType, plan: Plan, data: Samples, jit_compile: bool | str) -> None:
        self._engine = engine
        self.device = engine.select(plan.device, plan.precision)
        floatx = "float64" if plan.precision == "float64" else "float32"
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy("mixed_bfloat16" if plan.precision == "bfloat16" else floatx)
        (self._name,) = plan.task.networks
        self._places = plan.task.networks[self._name].placed()
        self._model = self._build(plan, jit_compile)
        # On the CPU an engine may keep the array's own memory. PyTorch wants it writable.
        inputs, targets = self._framework_layout(data.inputs), data.targets
        self._model.inputs_on_device = keras.ops.convert_to_tensor(
            np.require(inputs, requirements=("C", "W"))
        )
        self._model.targets_on_device = keras.ops.convert_to_tensor(
            np.require(targets, requirements=("C", "W"))
        )

    def _build(self, plan: Plan, jit_compile: bool | str) -> Any:
        task = plan.task
        model = self._engine.IndexedModel(
            network.layers(self._engine, task.networks[self._name], task.penalty, plan.seed)
        )
        optimizer = network.optimizer(self._engine, task.optimizer)
        model.compile(optimizer=optimizer, jit_compile=jit_compile)
        optimizer.build(model.trainable_variables)
        return model

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        for name, variable in self._variables().items():
            variable.assign(weights[name].astype(variable.dtype))

    def weights(self) -> dict[str, np.ndarray]:
        return {
            name: np.array(keras.ops.convert_to_numpy(variable))
            for name, variable in self._variables().items()
        }

    def train(self, steps: Steps) -> np.ndarray:
        losses = _Losses(self._model)
        batches = self._engine.batches(self._model, steps.indices)
        self._model.fit(batches, shuffle=False, verbose=0, callbacks=losses)
        return self._engine.to_host(losses.values)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        outputs = self._model.predict(
            self._framework_layout(inputs), batch_size=_PREDICTION_BATCH_SIZE, verbose=0
        )
        return outputs.astype(keras.config.floatx())

    def synchronize(self) -> None:
        self._engine.synchronize(self._model)

    def device_peak_memory_bytes(self) -> int | None:
        return None if self.device == "cpu" else self._engine.peak_memory_bytes()

    def _variables(self) -> dict[str, Any]:
        """The Keras variable of each canonical name; layers and variables bear the canonical names."""
        return {
            f"{self._name}/{place.name}/{name}": getattr(self._model.get_layer(place.name), name)
            for place in self._places
            for name in place.layer.parameters(place.input_shape)
        }

    def _framework_layout(self, inputs: np.ndarray) -> np.ndarray:
        """``inputs (n, *input)`` with channels where this engine has them."""
        if network.channels_first(inputs.shape[1:]):
            inputs = np.moveaxis(inputs, -1, 1)
        return np.ascontiguousarray(inputs)
