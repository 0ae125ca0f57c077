"""A task as a PyTorch training loop over data that stays on the device."""

import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from harness.backend_support import feeding
from harness.spec import Adversarial, Plan, Program, Samples, Steps, Task, Unsupported
from harness.tracing.user_code import own_callable
from harness_torch.attention import Attention
from harness_torch.layers import PICTURE_AXES
from harness_torch.native import NativeModule, NativeSlot, default_dtype
from harness_torch.networks import build_network
from harness_torch.objectives import AdversarialStep, SupervisedStep
from harness_torch.optimizers import Update
from harness_torch.private import PrivateStep
from harness_torch.slots import Slot

# Inputs per prediction: enough to keep an accelerator busy; few enough for the caches of a CPU, on which
# larger batches took 1.5 times as long for `lm` and 1.7 times for `cnn`.
_PREDICTION_BATCH_SIZE = 500
_PREDICTION_BATCH_SIZE_ON_CPU = 64
#: The key of the generator in a training state.
_GENERATOR = "generator"


def _device(asked: str) -> torch.device:
    if asked.startswith("cuda") and not torch.cuda.is_available():
        raise Unsupported(f"torch {torch.__version__} sees no {asked} device; use --device cpu")
    if asked == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", 0)


def _draws(module: nn.Module) -> bool:
    """Check for a module that may draw at random in training; any user's own module may."""
    return isinstance(module, nn.Dropout | NativeModule) or (
        isinstance(module, Attention) and bool(module.dropout)
    )


class TorchProgram(Program):
    """The networks of a task and its training step, eager or compiled."""

    def __init__(self, plan: Plan, data: Samples) -> None:
        """Place the training data and build the networks; see :meth:`harness.spec.Backend.build`."""
        torch.manual_seed(plan.seed)
        if plan.mode == "compile":
            # After eight networks in a process torch would stop compiling and silently run eagerly.
            torch.compiler.reset()
        self._device = _device(plan.device)
        self.device = str(self._device)
        if self._device.type == "cuda":
            self.device += f" ({torch.cuda.get_device_name(self._device)})"
        on_cpu = self._device.type == "cpu"
        self._prediction_sizes = (_PREDICTION_BATCH_SIZE_ON_CPU if on_cpu else _PREDICTION_BATCH_SIZE,)
        self._dtype = torch.float64 if plan.precision == "float64" else torch.float32
        self._bfloat16 = plan.precision == "bfloat16"
        self._channels_last = plan.mode == "channels_last"
        self._modules: dict[str, nn.Sequential] = {}
        self._models: dict[str, Any] = {}  # the modules as they run, maybe compiled
        slots: dict[str, Slot | NativeSlot] = {}
        self._updates = {name: self._add_network(name, plan, slots) for name in plan.task.networks}
        self._slots = {name: slots[name] for name in plan.task.weights()}
        self._drawing = self._generator()
        self._compiled_batch = plan.task.batch_size or len(data)
        self._step = self._make_step(plan.task, self._models)
        # A short batch would be compiled in the middle of training, and inductor (torch 2.13, on the CPU)
        # computes wrong gradients for some of them.
        self._short_step = self._make_step(plan.task, self._modules)
        self._private: PrivateStep | None = None
        if plan.task.privacy is not None:
            self._private = self._make_private(plan)
        self._task, self._crop = plan.task, plan.task.augmentation.crop
        # On the host: memory used on the device only here would raise its peak and hide that of a step.
        self._inputs = self._laid_out(feeding.padded_pictures(data.inputs, self._crop)).to(self._device)
        self._targets = torch.tensor(data.targets, device=self._device)

    def _add_network(self, name: str, plan: Plan, all_slots: dict[str, Slot | NativeSlot]) -> Update:
        with default_dtype(self._dtype):  # also of constants that a user's own module computes when made
            module, slots = build_network(plan.task.networks[name], channels_last=self._channels_last)
        module = module.to(self._device, self._dtype)
        if self._channels_last:
            module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._modules[name] = module
        self._models[name] = torch.compile(module) if plan.mode == "compile" else module
        named = {f"{name}/{slot.name}": slot for slot in slots}
        all_slots |= named
        parameters = [p for p in module.parameters() if p.requires_grad]
        # Arrays that a user's model does not train are neither decayed nor penalised.
        trained = {key: slot.tensor for key, slot in named.items() if key in plan.task.parameters()}
        return Update(plan.task, parameters, trained)

    def _make_step(self, task: Task, models: Mapping[str, Any]) -> SupervisedStep | AdversarialStep:
        if isinstance(task.objective, Adversarial):
            networks = [(models[name], self._updates[name]) for name in ("generator", "discriminator")]
            return AdversarialStep(*networks)
        own_loss = feeding.own_part(task, "loss", own_callable)
        return SupervisedStep(task.objective, models["model"], self._updates["model"], own_loss)

    def _make_private(self, plan: Plan) -> PrivateStep:
        if plan.mode == "compile":
            raise Unsupported("torch.compile is not used for DP-SGD here; use mode eager or channels_last")
        if not isinstance(self._short_step, SupervisedStep):
            raise Unsupported("DP-SGD is for supervised tasks")
        module, update = self._modules["model"], self._updates["model"]
        return PrivateStep(plan.task, module, self._short_step, update, self._slots)

    def _generator(self) -> torch.Generator | None:
        """Return the generator from which dropout draws, shared by programs of a process; None without."""
        modules = (module for network in self._modules.values() for module in network.modules())
        if not any(map(_draws, modules)):
            return None
        cuda = self._device.type == "cuda"
        return torch.cuda.default_generators[0] if cuda else torch.default_generator

    def _laid_out(self, inputs: np.ndarray) -> torch.Tensor:
        """Arrange canonical inputs on the host, pictures as ``(n, C, H, W)`` or channels last."""
        with warnings.catch_warnings():
            # The harness provides read-only arrays, which torch cannot protect; nothing here writes to them.
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            tensor = torch.from_numpy(inputs)
        if tensor.ndim == 1 + PICTURE_AXES and not self._channels_last:
            tensor = tensor.permute(0, 3, 1, 2).contiguous()
        return tensor

    def _batch(self, draws: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Collect the inputs of a step by one gather, augmented if it has flips or offsets."""
        if "augmented" in draws:
            return draws["augmented"]
        if not feeding.is_augmented(draws):
            return self._inputs[draws["indices"]]
        spatial = self._inputs.shape[1:3] if self._channels_last else self._inputs.shape[2:4]
        y, x = (torch.arange(axis - 2 * self._crop, device=self._device) for axis in spatial)
        rows, y, x = feeding.windows(torch.where, draws, y, x)
        if self._channels_last:
            return self._inputs[rows, y, x]
        channels = torch.arange(self._inputs.shape[1], device=self._device)[:, None, None]
        return self._inputs[rows[:, None], channels, y[:, None], x[:, None]]

    def _forward(self, model: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
        if not self._bfloat16:
            return model(inputs)
        with torch.autocast(self._device.type, torch.bfloat16):
            outputs = model(inputs)
        return outputs.float()

    def _as_torch(self, inputs: torch.Tensor) -> torch.Tensor:
        """Arrange pictures as NCHW; in mode channels_last as a view of channels-last memory."""
        picture = inputs.ndim == 1 + PICTURE_AXES
        return inputs.permute(0, 3, 1, 2) if picture and self._channels_last else inputs

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        with torch.no_grad():
            for name, slot in self._slots.items():
                array = slot.to_torch(weights[name])
                slot.tensor.copy_(torch.from_numpy(np.ascontiguousarray(array)))

    def weights(self) -> dict[str, np.ndarray]:
        return {
            name: np.array(slot.to_canonical(slot.tensor.detach().cpu().numpy()), order="C")
            for name, slot in self._slots.items()
        }

    def train(self, steps: Steps) -> np.ndarray:
        for module in self._modules.values():
            module.train()
        step = self._step if steps.indices.shape[1] == self._compiled_batch else self._short_step
        arrays = feeding.draws(steps, self._task)
        rates = arrays.pop("learning_rates").tolist()
        if self._private is not None:
            arrays |= self._private.noise_of(arrays)
        # In one copy each: at each copy the host waits for the device.
        draws = {
            name: (
                feeding.by_rows(self._laid_out, array) if name == "augmented" else torch.from_numpy(array)
            ).to(self._device)
            for name, array in arrays.items()
        }
        losses = []
        for rate, *drawn in zip(rates, *draws.values(), strict=True):
            batch = dict(zip(draws, drawn, strict=True))
            self._set_rate(rate)
            if self._private is not None:
                batch = feeding.without_padding(batch)
                inputs, targets = self._as_torch(self._batch(batch)), self._targets[batch["indices"]]
                losses.append(self._private(self._forward, inputs, targets, batch))
                continue
            second = batch["latents"] if "latents" in batch else self._targets[batch["indices"]]
            losses.append(step(self._forward, self._as_torch(self._batch(batch)), second))
        return torch.stack(losses).cpu().numpy()

    def _set_rate(self, rate: float) -> None:
        for update in self._updates.values():
            update.set_rate(rate)

    def predict(self, inputs: np.ndarray, network: str = "model") -> np.ndarray:
        self._modules[network].eval()
        sizes = self._prediction_sizes
        with torch.no_grad():
            return feeding.predicted(lambda part: self._predict_part(part, network), inputs, sizes, pad=False)

    def predictor(self, network: str = "model") -> Callable[[np.ndarray], np.ndarray]:

        def predict(inputs: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return self._predict_part(inputs, network)

        self._modules[network].eval()
        return predict

    def _predict_part(self, inputs: np.ndarray, network: str) -> np.ndarray:
        return self._outputs(self._models[network], self._on_device(inputs)).cpu().numpy()

    def _on_device(self, inputs: np.ndarray) -> torch.Tensor:
        return self._laid_out(inputs).to(self._device)

    def _outputs(self, model: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """Return the outputs in canonical layout."""
        outputs = self._forward(model, self._as_torch(x))
        return outputs.permute(0, 2, 3, 1) if outputs.ndim == 1 + PICTURE_AXES else outputs

    def input_gradients(
        self, inputs: np.ndarray, targets: np.ndarray, network: str = "model"
    ) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`harness.spec.Program.input_gradients`; never compiled."""
        whole = self._modules[network].eval()
        module = whole[1:] if feeding.begins_with_embedding(self._task.networks[network]) else whole

        def differentiate(part: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            x = self._on_device(part).detach().requires_grad_()
            places = torch.tensor(chosen, device=self._device)[:, None]
            picked = self._outputs(module, x).flatten(1).gather(1, places)[:, 0]
            (gradient,) = torch.autograd.grad(picked.sum(), x)
            if gradient.ndim == 1 + PICTURE_AXES and not self._channels_last:
                gradient = gradient.permute(0, 2, 3, 1)
            return gradient.cpu().numpy(), picked.detach().cpu().numpy()

        # The GPU's own recurrent layers have no backward pass in evaluation mode.
        with torch.backends.cudnn.flags(
            enabled=torch.backends.cudnn.enabled and not self._is_recurrent(network)
        ):
            return feeding.differentiated(differentiate, inputs, targets, self._prediction_sizes, pad=False)

    def _is_recurrent(self, network: str) -> bool:
        return any(isinstance(module, nn.RNNBase) for module in self._modules[network].modules())

    def training_state(self) -> dict[str, np.ndarray] | None:
        """Return the state by network, position and name; optimizers have no tensors before a step.

        None where a user's own optimizer keeps something else than tensors.
        """
        if not all(update.keeps_tensors for update in self._updates.values()):
            return None
        state = {
            f"{network}/{position}/{name}": tensor.cpu().numpy().copy()
            for network, update in self._updates.items()
            for position, kept in update.optimizer.state_dict()["state"].items()
            for name, tensor in kept.items()
        }
        return state | ({} if self._drawing is None else {_GENERATOR: self._drawing.get_state().numpy()})

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        tensors = {key: torch.from_numpy(array.copy()) for key, array in state.items()}
        if self._drawing is not None:
            self._drawing.set_state(tensors.pop(_GENERATOR))
        kept: dict[str, dict[int, dict[str, torch.Tensor]]] = defaultdict(lambda: defaultdict(dict))
        for key, tensor in tensors.items():
            network, position, name = key.rsplit("/", 2)
            kept[network][int(position)][name] = tensor
        for network, update in self._updates.items():
            update.optimizer.load_state_dict(update.optimizer.state_dict() | {"state": kept[network]})

    def synchronize(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def device_peak_memory_bytes(self) -> int | None:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return None
