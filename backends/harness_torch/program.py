"""A task as a PyTorch training loop over data that stays on the device."""

from collections.abc import Mapping

import numpy as np
import torch
from torch.nn import functional

from harness.spec import Adam, Optimizer, Plan, Program, RmsProp, Samples, Sgd, Steps, Unsupported
from harness_torch.modules import PICTURE_AXES, build_network

# Pictures scored at a time: large enough to keep a device busy, small enough for any memory.
PREDICT_BATCH_SIZE = 500


def _device(asked: str) -> torch.device:
    if asked.startswith("cuda") and not torch.cuda.is_available():
        raise Unsupported(f"torch {torch.__version__} sees no {asked} device here; use --device cpu")
    if asked == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", 0)


def _optimizer(spec: Optimizer, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    rate = spec.learning_rate
    match spec:
        case Sgd():
            return torch.optim.SGD(parameters, rate, momentum=spec.momentum, nesterov=spec.nesterov)
        case Adam():
            return torch.optim.Adam(parameters, rate, betas=(spec.beta_1, spec.beta_2), eps=spec.epsilon)
        case RmsProp():
            return torch.optim.RMSprop(parameters, rate, alpha=spec.rho, eps=spec.epsilon)


class TorchProgram(Program):
    """One network trained by one optimizer, eager or compiled."""

    def __init__(self, plan: Plan, data: Samples) -> None:
        """Place the training data and build the model; see :meth:`harness.spec.Backend.build`."""
        torch.manual_seed(plan.seed)
        self._device = _device(plan.device)
        self.device = str(self._device)
        if self._device.type == "cuda":
            self.device += f" ({torch.cuda.get_device_name(self._device)})"
        dtype = torch.float64 if plan.precision == "float64" else torch.float32
        self._channels_last = plan.mode == "channels_last"
        network = plan.task.networks["model"]
        module, self._slots = build_network(network, channels_last=self._channels_last)
        module = module.to(self._device, dtype)
        if self._channels_last:
            module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._module = module
        self._model = torch.compile(module) if plan.mode == "compile" else module
        self._kernels = [slot.tensor for slot in self._slots if slot.name.endswith("/kernel")]
        self._penalty = plan.task.penalty
        self._optimizer = _optimizer(plan.task.optimizer, list(module.parameters()))
        self._bfloat16 = plan.precision == "bfloat16"
        self._inputs = self._place(data.inputs)
        self._targets = torch.from_numpy(data.targets).to(self._device)

    def _place(self, inputs: np.ndarray) -> torch.Tensor:
        """Canonical inputs on the device; pictures as ``(n, C, H, W)`` unless memory is channels last."""
        tensor = torch.from_numpy(inputs).to(self._device)
        if tensor.ndim == 1 + PICTURE_AXES and not self._channels_last:
            tensor = tensor.permute(0, 3, 1, 2).contiguous()
        return tensor

    def _forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if inputs.ndim == 1 + PICTURE_AXES and self._channels_last:
            inputs = inputs.permute(0, 3, 1, 2)  # a view whose memory is torch's channels_last
        if not self._bfloat16:
            return self._model(inputs)
        with torch.autocast(self._device.type, torch.bfloat16):
            outputs = self._model(inputs)
        return outputs.float()

    def _loss(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        loss = functional.cross_entropy(self._forward(inputs), targets)
        if self._penalty.l1:
            loss = loss + self._penalty.l1 * sum(kernel.abs().sum() for kernel in self._kernels)
        if self._penalty.l2:
            loss = loss + self._penalty.l2 * sum(kernel.square().sum() for kernel in self._kernels)
        return loss

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        """See :meth:`harness.spec.Program.load`."""
        with torch.no_grad():
            for slot in self._slots:
                array = slot.to_torch(weights[f"model/{slot.name}"])
                slot.tensor.copy_(torch.from_numpy(np.ascontiguousarray(array)))

    def weights(self) -> dict[str, np.ndarray]:
        """See :meth:`harness.spec.Program.weights`."""
        return {
            f"model/{slot.name}": np.array(slot.to_canonical(slot.tensor.detach().cpu().numpy()), order="C")
            for slot in self._slots
        }

    def train(self, steps: Steps) -> np.ndarray:
        """See :meth:`harness.spec.Program.train`."""
        self._module.train()
        losses = []
        for batch in torch.from_numpy(steps.indices).to(self._device):
            loss = self._loss(self._inputs[batch], self._targets[batch])
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).cpu().numpy()

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """See :meth:`harness.spec.Program.predict`."""
        self._module.eval()
        parts = (inputs[i : i + PREDICT_BATCH_SIZE] for i in range(0, len(inputs), PREDICT_BATCH_SIZE))
        with torch.no_grad():
            return np.concatenate([self._forward(self._place(part)).cpu().numpy() for part in parts])

    def synchronize(self) -> None:
        """See :meth:`harness.spec.Program.synchronize`."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def device_peak_memory_bytes(self) -> int | None:
        """See :meth:`harness.spec.Program.device_peak_memory_bytes`."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return None
