"""A task as a compiled training step over data that stays on the device."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np

from harness.backend_support import feeding
from harness.backend_support.rules import moment_count
from harness.layers import Parameter
from harness.spec import Plan, Program, Samples, Steps, Unsupported
from harness_jax.compiled import Given, differentiator_of, predictor_of, train_step_of
from harness_jax.native import Storage
from harness_jax.objectives import State
from harness_jax.optimizers import own_optimizer

# Inputs per prediction, each number compiled once. The smaller ones are for few inputs, such as the sampled
# texts of `lm` or a certificate's, which would otherwise be mostly padding. The largest keeps an accelerator
# busy, or fits into the caches of a CPU, on which 500 took 1.8 times as long for `lm` and twice for `cnn`.
_PREDICTION_BATCH_SIZES = (4, 32, 500)
_PREDICTION_BATCH_SIZES_ON_CPU = (4, 32, 64)


def _device(asked: str) -> jax.Device:
    if asked == "cpu":
        # Before the first use of a device this keeps JAX from initialising a GPU; later it has no effect.
        jax.config.update("jax_platforms", "cpu")
        return jax.devices("cpu")[0]
    if asked == "auto":
        return jax.devices()[0]
    try:
        return jax.devices("cuda")[0]
    except RuntimeError:
        raise Unsupported(f"jax {jax.__version__} sees no {asked} device; use --device cpu") from None


class JaxProgram(Program):
    """The state of a task in training and the compiled functions that read and advance it."""

    def __init__(self, plan: Plan, data: Samples) -> None:
        """Place the training data and an empty state; see :meth:`harness.spec.Backend.build`."""
        self._task = plan.task
        self._seed = plan.seed
        self._precision = plan.precision
        self._x64 = plan.precision == "float64"
        self._use_precision()
        self._device = _device(plan.device)
        self._on_cpu = self._device.platform == "cpu"
        kind = {"gpu": "cuda"}.get(self._device.platform, self._device.platform.lower())
        self.device = "cpu" if self._on_cpu else f"{kind}:0 ({self._device.device_kind})"
        self._sizes = _PREDICTION_BATCH_SIZES_ON_CPU if self._on_cpu else _PREDICTION_BATCH_SIZES
        self._dtype = np.dtype(np.float64 if self._x64 else np.float32)
        precision = plan.precision
        self._train_step = train_step_of(plan.task, precision)
        self._own_optimizer = own_optimizer(plan.task, precision)
        self._predictors = {
            name: predictor_of(network, precision) for name, network in plan.task.networks.items()
        }
        self._storage = Storage(plan.task, precision)
        self._given = self._place(data)
        self._state = self._empty_state()
        if self._own_optimizer is not None:
            self._own_optimizer.require_rate(self._state.moments["model"], plan.task.schedule)

    def _use_precision(self) -> None:
        """Set JAX's 64-bit switch, which is global to the process: another program may have changed it."""
        jax.config.update("jax_enable_x64", self._x64)

    def _place(self, data: Samples) -> Given:
        """Put the arrays that stay the same throughout the training on the device."""
        given = Given(
            _narrow(feeding.padded_pictures(data.inputs, self._task.augmentation.crop)),
            _narrow(data.targets),
            np.uint32(self._seed % 2**32),
        )
        return jax.device_put(given, self._device)

    def _own(self, array: np.ndarray) -> jax.Array:
        """Copy an array on the device, so that training may overwrite the copy."""
        return jax.device_put(np.asarray(array, self._dtype), self._device, may_alias=False)

    def _zeros(self, network: str, arrays: Mapping[str, Parameter]) -> dict[str, jax.Array]:
        """Make zeros for each array of a network by copies: JAX would compile a computation per shape."""
        shape_of = self._storage.shape
        return {
            name: self._own(np.zeros(shape_of(f"{network}/{name}", array.shape)))
            for name, array in arrays.items()
        }

    def _placed(self, arrays: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
        """Copy arrays to the device, in their own types."""
        return {name: jax.device_put(array, self._device, may_alias=False) for name, array in arrays.items()}

    def _empty_state(self) -> State:
        networks, count = self._task.networks, moment_count(self._task.optimizer)
        parameters = {name: self._zeros(name, network.parameters()) for name, network in networks.items()}
        layers = {
            name: self._zeros(name, network.state()) | self._placed(self._storage.hidden[name])
            for name, network in networks.items()
        }
        moments: dict[str, Any] = {}
        for name, network in networks.items():
            kept = [self._zeros(name, network.parameters()) for _ in range(count)]
            moments[name] = {key: tuple(zeros[key] for zeros in kept) for key in network.parameters()}
        if self._own_optimizer is not None:
            moments["model"] = self._own_optimizer.init(parameters["model"])
        return State(parameters, moments, layers, jax.device_put(np.int32(0), self._device))

    def _draws(self, steps: Steps) -> dict[str, np.ndarray]:
        """Return the draws of the steps by name, one row for each step, in the types of the device."""
        draws = {name: _narrow(array) for name, array in feeding.draws(steps, self._task).items()}
        for full in self._task.parameters() if steps.noise is not None else ():
            array = draws.pop(feeding.noise_name(full))
            stored = [self._storage.stored(full, each) for each in array]
            draws[full.partition("/")[2]] = np.asarray(stored, self._dtype)
        draws["learning_rates"] = draws["learning_rates"].astype(self._dtype)
        return draws

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        self._use_precision()

        def loaded(network: str, names: Iterable[str]) -> dict[str, jax.Array]:
            arrays = {name: (f"{network}/{name}", weights[f"{network}/{name}"]) for name in names}
            return {name: self._own(self._storage.stored(*each)) for name, each in arrays.items()}

        parameters, layers = self._state.parameters, self._state.layers
        state = self._state._replace(
            parameters={network: loaded(network, arrays) for network, arrays in parameters.items()},
            layers={
                network: arrays | loaded(network, arrays.keys() - self._storage.hidden[network].keys())
                for network, arrays in layers.items()
            },
        )
        if self._own_optimizer is not None and not int(state.steps):
            # Its memory may begin with a copy of the weights.
            state = state._replace(moments={"model": self._own_optimizer.init(state.parameters["model"])})
        self._state = state

    def weights(self) -> dict[str, np.ndarray]:
        current = {
            f"{network}/{name}": array
            for network in self._task.networks
            for name, array in self._state.weights(network).items()
        }
        # Copied, because on the CPU the next step overwrites the memory that NumPy would share.
        return {
            name: np.array(self._storage.canonical(name, np.asarray(current[name])), order="C")
            for name in self._task.weights()
        }

    def training_state(self) -> dict[str, np.ndarray]:
        """See :meth:`harness.spec.Program.training_state`. Dropout's keys follow from the number of steps.

        Arrays of types that NumPy lacks, such as bfloat16, are float32, which holds their values exactly.
        """
        leaves = jax.tree_util.tree_leaves_with_path(self._besides_weights())
        state = {jax.tree_util.keystr(path): np.array(leaf) for path, leaf in leaves}
        return {
            name: array.astype(np.float32) if array.dtype.kind == "V" else array
            for name, array in state.items()
        }

    def _besides_weights(self) -> State:
        hidden = {
            network: {name: layers[name] for name in self._storage.hidden[network]}
            for network, layers in self._state.layers.items()
        }
        return self._state._replace(parameters={}, layers=hidden)

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        self._use_precision()

        def own(path: tuple[Any, ...], leaf: jax.Array) -> jax.Array:
            array = state[jax.tree_util.keystr(path)].astype(leaf.dtype, copy=False)
            return jax.device_put(array, self._device, may_alias=False)

        loaded = jax.tree_util.tree_map_with_path(own, self._besides_weights())
        layers = {network: arrays | loaded.layers[network] for network, arrays in self._state.layers.items()}
        self._state = loaded._replace(parameters=self._state.parameters, layers=layers)

    def train(self, steps: Steps) -> np.ndarray:
        self._use_precision()
        draws = self._draws(steps)
        losses = []
        for number in range(len(steps.indices)):
            own = {name: array[number] for name, array in draws.items()}
            self._state, loss = self._train_step(self._state, self._given, own)
            losses.append(loss)
        return np.stack(jax.device_get(losses))

    def predict(self, inputs: np.ndarray, network: str = "model") -> np.ndarray:
        self._use_precision()
        weights, predict = self._state.weights(network), self._predictors[network]
        return feeding.predicted(lambda part: predict(weights, part), _narrow(inputs), self._sizes)

    def input_gradients(
        self, inputs: np.ndarray, targets: np.ndarray, network: str = "model"
    ) -> tuple[np.ndarray, np.ndarray]:
        self._use_precision()
        weights = self._state.weights(network)
        differentiate = differentiator_of(self._task.networks[network], self._precision)
        return feeding.differentiated(
            lambda part, chosen: differentiate(weights, part, chosen), inputs, _narrow(targets), self._sizes
        )

    def predictor(self, network: str = "model") -> Callable[[np.ndarray], np.ndarray]:
        self._use_precision()
        weights, predict = self._state.weights(network), self._predictors[network]
        return lambda inputs: np.asarray(predict(weights, _narrow(inputs)))

    def synchronize(self) -> None:
        jax.block_until_ready(self._state)

    def device_peak_memory_bytes(self) -> int | None:
        # Not every allocator that XLA can use keeps statistics.
        statistics = {} if self._on_cpu else self._device.memory_stats() or {}
        return int(statistics["peak_bytes_in_use"]) if "peak_bytes_in_use" in statistics else None


def _narrow(array: np.ndarray) -> np.ndarray:
    """Convert integers, such as classes and tokens, to int32, of which a device computes more at a time."""
    return array.astype(np.int32) if array.dtype.kind == "i" else array
