"""A Keras program: compiled models, the data on the device, and ``fit`` over blocks of steps."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from harness.backend_support import feeding
from harness.backend_support.feeding import noise_name
from harness.spec import Adversarial, Plan, Program, Samples, Steps, Task
from harness_keras import objectives
from harness_keras.layers import Maker
from harness_keras.layout import channels_first
from harness_keras.networks import INTEGERS, FunctionalNetwork
from harness_keras.slots import Slot, slots

if TYPE_CHECKING:  # only programs with a model of the user's own import it
    from harness_keras.native import NativeSlot

# Inputs per prediction, each number compiled once. The smaller ones are for few inputs, such as the sampled
# texts of `lm` or a certificate's, which would otherwise be mostly padding.
_PREDICTION_BATCH_SIZES = (4, 32, 128)


class _Losses(keras.callbacks.CallbackList):
    """The losses of each step, kept on the device.

    Keras's own list converts each step's logs to Python floats, which waits for the device.
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__(add_history=True, model=model)
        self._names = model.loss_names
        self.values: list[Any] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        pass

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.values.extend(logs[name] for name in self._names)


def picked(outputs: Any, targets: Any) -> Any:
    """Pick the output ``(n,)`` of each row at this place ``(n,)`` of its canonical order."""
    if channels_first(tuple(outputs.shape[1:])):
        outputs = keras.ops.moveaxis(outputs, 1, -1)
    flat = keras.ops.reshape(outputs, (outputs.shape[0], -1))
    return keras.ops.take_along_axis(flat, targets[:, None], axis=1)[:, 0]


class KerasProgram(Program):
    """Networks trained by ``model.fit`` on one engine; see :class:`harness.spec.Program`."""

    def __init__(self, engine: ModuleType, plan: Plan, data: Samples, jit_compile: bool | str) -> None:
        self._engine, self._task = engine, plan.task
        objectives.refuse_unmapped(plan.task, xla=jit_compile is True)
        self.device = engine.select(plan.device, plan.precision)
        floatx = "float64" if plan.precision == "float64" else "float32"
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy("mixed_bfloat16" if plan.precision == "bfloat16" else floatx)
        self._networks: dict[str, keras.Model] = {}
        self._first: dict[str, keras.KerasTensor] = {}
        self._differentiators: dict[str, Any] = {}
        self._slots: list[tuple[str, Slot | NativeSlot]] = []
        self._draws_from_engine = False
        for name in plan.task.networks:
            self._add_network(name, plan, jit_compile)
        self._model = self._trained(plan.task, jit_compile)
        self._place(data, plan.task)

    def _add_network(self, name: str, plan: Plan, jit_compile: bool | str) -> None:
        task = plan.task
        # Layers take their seeds from here on; no network has this many layers.
        seed = plan.seed + 1000 * len(self._networks)
        maker = Maker(self._engine, task.penalty, xla=jit_compile is True)
        network = FunctionalNetwork(maker, task.networks[name], seed)
        kind = keras.Model if isinstance(task.objective, Adversarial) else self._engine.SupervisedModel
        model = kind(network.input, network.output)
        own_slots = [(name, slot) for slot in slots(network.layers, task.networks[name])]
        exempt = [slot.variable for _, slot in own_slots if not slot.is_decayed(task)]
        optimizer = objectives.optimizer(self._engine, task, exempt)
        model.compile(optimizer=optimizer, jit_compile=jit_compile)
        optimizer.build(model.trainable_variables)
        self._own_rate = objectives.own_rate(optimizer, task)
        self._networks[name] = model
        self._first[name] = network.first
        self._slots += own_slots
        self._draws_from_engine |= network.draws_from_engine

    def _trained(self, task: Task, jit_compile: bool | str) -> Any:
        """Build the model on which ``fit`` is called."""
        if isinstance(task.objective, Adversarial):
            model = self._engine.AdversarialModel(
                self._networks["generator"], self._networks["discriminator"], jit_compile
            )
        else:
            model = self._networks["model"]
        model.loss_terms = objectives.loss_terms(task)
        model.crop = task.augmentation.crop
        model.draws_from_engine = self._draws_from_engine
        model.privacy, model.batch_size = task.privacy, task.batch_size
        return model

    def _place(self, data: Samples, task: Task) -> None:
        inputs = feeding.padded_pictures(data.inputs, task.augmentation.crop)
        # On the CPU an engine may share the array's memory, which is read-only; PyTorch warns about that.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            self._model.inputs_on_device, self._model.targets_on_device = (
                keras.ops.convert_to_tensor(np.ascontiguousarray(array))
                for array in (self._framework_layout(inputs), data.targets)
            )

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        for name, slot in self._slots:
            array = slot.to_keras([weights[f"{name}/{parameter}"] for parameter in slot.names])
            slot.variable.assign(array.astype(slot.variable.dtype))

    def weights(self) -> dict[str, np.ndarray]:
        weights = {}
        for name, slot in self._slots:
            arrays = slot.to_canonical(np.array(keras.ops.convert_to_numpy(slot.variable)))
            for parameter, array in zip(slot.names, arrays, strict=True):
                weights[f"{name}/{parameter}"] = np.ascontiguousarray(array)
        return {name: weights[name] for name in self._task.weights()}

    def train(self, steps: Steps) -> np.ndarray:
        losses = _Losses(self._model)
        drawn = objectives.by_name(steps, self._task, self._own_rate)
        if "augmented" in drawn:
            drawn["augmented"] = feeding.by_rows(self._framework_layout, drawn["augmented"])
        if steps.noise is not None:
            drawn = self._with_noise(drawn, steps.noise)
        batches = self._engine.batches(self._model, drawn)
        self._model.fit(batches, shuffle=False, verbose=0, callbacks=losses)
        values = self._engine.to_host(losses.values)
        return values.reshape(-1, 2) if len(self._model.loss_names) > 1 else values

    def _with_noise(
        self, drawn: dict[str, np.ndarray], noise: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Replace the noise of parameters, by name, by the noise of trainable variables, by position."""
        drawn = {name: array for name, array in drawn.items() if name not in set(map(noise_name, noise))}
        slots = {id(slot.variable): (network, slot) for network, slot in self._slots}
        for position, variable in enumerate(self._model.trainable_variables):
            network, slot = slots[id(variable)]
            by_step = zip(*(noise[f"{network}/{name}"] for name in slot.names), strict=True)
            array = np.stack([slot.to_keras(arrays) for arrays in by_step])
            drawn[objectives.noise_key(position)] = array.astype(keras.config.floatx())
        return drawn

    def predict(self, inputs: np.ndarray, network: str = "model") -> np.ndarray:
        # By batch: Keras's predict() makes an iterator and callbacks, which takes 60 ms each time. All
        # batches have one size, because a shorter last one would be compiled for its own.
        predict, arrays = self._networks[network].predict_on_batch, self._framework_layout(inputs)
        outputs = feeding.predicted(predict, arrays, _PREDICTION_BATCH_SIZES)
        return self._canonical_layout(outputs.astype(keras.config.floatx()))

    def input_gradients(
        self, inputs: np.ndarray, targets: np.ndarray, network: str = "model"
    ) -> tuple[np.ndarray, np.ndarray]:
        if network not in self._differentiators:
            model = self._networks[network]
            if feeding.begins_with_embedding(self._task.networks[network]):
                model = keras.Model(self._first[network], model.output)
            self._differentiators[network] = self._engine.differentiator(model, picked)
        gradients, outputs = feeding.differentiated(
            self._differentiators[network],
            self._framework_layout(inputs),
            targets.astype(INTEGERS),
            _PREDICTION_BATCH_SIZES,
        )
        return self._canonical_layout(gradients), outputs.astype(keras.config.floatx())

    def predictor(self, network: str = "model") -> Callable[[np.ndarray], np.ndarray]:
        predict, kind = self._networks[network].predict_on_batch, keras.config.floatx()

        def of_batch(inputs: np.ndarray) -> np.ndarray:
            outputs = np.asarray(predict(self._framework_layout(inputs)))
            return self._canonical_layout(outputs.astype(kind, copy=False))

        return of_batch

    def synchronize(self) -> None:
        self._engine.synchronize(self._model)

    def device_peak_memory_bytes(self) -> int | None:
        return None if self.device == "cpu" else self._engine.peak_memory_bytes()

    def training_state(self) -> dict[str, np.ndarray] | None:
        state = {
            name: np.array(keras.ops.convert_to_numpy(variable)) for name, variable in self._state().items()
        }
        return state | self._engine.generator_state() if self._draws_from_engine else state

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        for name, variable in self._state().items():
            variable.assign(np.array(state[name]))  # a copy, whose memory an engine may keep
        if self._draws_from_engine:
            self._engine.load_generator_state(state)

    def _state(self) -> dict[str, Any]:
        """Return the states of dropout's generators and the variables of the optimizer, for each network.

        Variables are named by position, because Keras numbers the names of all optimizers in a process.
        """
        weights = {id(slot.variable) for _, slot in self._slots}
        return {
            f"{name}/{position}": variable
            for name, network in self._networks.items()
            for position, variable in enumerate(
                [*network.non_trainable_variables, *network.optimizer.variables]
            )
            if id(variable) not in weights
        }

    def _framework_layout(self, arrays: np.ndarray) -> np.ndarray:
        """Put the channels of ``(n, *canonical)`` where the engine expects them, and tokens in its type."""
        if arrays.dtype.kind == "i":
            return np.ascontiguousarray(arrays, INTEGERS)
        if channels_first(arrays.shape[1:]):
            arrays = np.moveaxis(arrays, -1, 1)
        return np.ascontiguousarray(arrays)

    def _canonical_layout(self, arrays: np.ndarray) -> np.ndarray:
        """Convert arrays from the engine's layout; the inverse of :meth:`_framework_layout`."""
        if channels_first(arrays.shape[1:]):
            arrays = np.moveaxis(arrays, 1, -1)
        return np.ascontiguousarray(arrays)
