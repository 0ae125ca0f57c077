"""my_trees_program.py: networks as functions of tensors in canonical layout, trained by autograd."""

from collections.abc import Mapping

import numpy as np
import torch
from my_trees_layers import apply
from torch import Tensor
from torch.nn import functional

from harness.spec import Adam, Classification, Plan, Program, RmsProp, Samples, Sgd, Steps

PREDICT_ROWS = 256


class MyTreesProgram(Program):
    """``arrays`` holds parameters and state by their full names; ``moments`` the optimizer's."""

    device = "cpu"

    def __init__(self, plan: Plan, data: Samples) -> None:
        torch.manual_seed(plan.seed)
        self.task = plan.task
        self.dtype = torch.float64 if plan.precision == "float64" else torch.float32
        self.places = self.task.networks["model"].placed()
        self.inputs, self.targets = torch.tensor(data.inputs), torch.tensor(data.targets)
        self.arrays = {
            name: torch.zeros(p.shape, dtype=self.dtype) for name, p in self.task.weights().items()
        }
        self.trained = list(self.task.parameters())  # running statistics are not among them
        for name in self.trained:
            self.arrays[name].requires_grad_()
        self.moments = {name: (torch.zeros(p.shape, dtype=self.dtype),) * 2 for name, p in self._parameters()}
        self.steps = 0

    def _parameters(self) -> list[tuple[str, Tensor]]:
        return [(name, self.arrays[name]) for name in self.trained]

    def _batch(self, rows: Tensor, offsets: np.ndarray | None, flips: np.ndarray | None) -> Tensor:
        """The inputs of a step: of pictures the windows that the harness drew, some of them mirrored."""
        inputs = self.inputs[rows]
        if offsets is None and flips is None:
            return inputs
        crop, (count, height, width, _) = self.task.augmentation.crop, inputs.shape
        y, x = torch.arange(height).expand(count, -1), torch.arange(width).expand(count, -1)
        if flips is not None:
            x = torch.where(torch.from_numpy(flips)[:, None], width - 1 - x, x)
        if offsets is not None:
            y, x = (axis + torch.from_numpy(offsets[:, place, None]) for place, axis in enumerate((y, x)))
        padded = functional.pad(inputs, (0, 0, crop, crop, crop, crop))
        return padded[torch.arange(count)[:, None, None], y[:, :, None], x[:, None, :]]

    # A step.

    def _loss(self, x: Tensor, y: Tensor) -> Tensor:
        objective, penalty = self.task.objective, self.task.penalty
        outputs = apply(self.places, x, self.arrays, training=True)
        if isinstance(objective, Classification):  # a class for each sample or for each position
            smoothing = objective.label_smoothing
            losses = functional.cross_entropy(
                outputs.flatten(0, -2), y.flatten(), reduction="none", label_smoothing=smoothing
            )
        else:
            losses = functional.binary_cross_entropy_with_logits(
                outputs[:, 0], y.to(self.dtype), reduction="none"
            )
        if objective.class_weights:
            losses = losses * losses.new_tensor(objective.class_weights)[y.flatten()]
        loss = losses.mean()
        kernels = [w for name, w in self._parameters() if name.endswith("kernel")]
        if penalty.l1:
            loss = loss + penalty.l1 * sum(w.abs().sum() for w in kernels)
        if penalty.l2:
            loss = loss + penalty.l2 * sum(w.square().sum() for w in kernels)
        return loss

    def _step(self, x: Tensor, y: Tensor, rate: float) -> Tensor:
        """The order of the contract: gradient, clipping, decay, update; all with the rate of this step."""
        task, self.steps = self.task, self.steps + 1
        loss = self._loss(x, y)
        gradients = torch.autograd.grad(loss, [w for _, w in self._parameters()])
        with torch.no_grad():
            if task.clip_norm:
                norm = torch.linalg.vector_norm(torch.stack([g.norm() for g in gradients]))
                gradients = [g * (task.clip_norm / norm.clamp(min=task.clip_norm)) for g in gradients]
            for (name, w), g in zip(self._parameters(), gradients, strict=True):
                if task.weight_decay and task.is_decayed(name):
                    w.mul_(1 - rate * task.weight_decay)
                w.sub_(rate * self._direction(name, g))
        return loss.detach()

    def _direction(self, name: str, g: Tensor) -> Tensor:
        """What is subtracted, before it is multiplied by the learning rate."""
        m, v = self.moments[name]
        match self.task.optimizer:
            case Sgd(_, momentum, nesterov):
                m = momentum * m + g
                direction = g + momentum * m if nesterov else m
            case RmsProp(_, rho, epsilon):
                v = rho * v + (1 - rho) * g**2
                direction = g / (v.sqrt() + epsilon)
            case Adam(_, beta_1, beta_2, epsilon):
                m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
                root = (v / (1 - beta_2**self.steps)).sqrt()
                direction = m / (1 - beta_1**self.steps) / (root + epsilon)
        self.moments[name] = m, v
        return direction

    # What the harness calls.

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        """Copy parameters and state; canonical layout is the program's own."""
        with torch.no_grad():
            for name, array in weights.items():
                self.arrays[name].copy_(torch.tensor(array))

    def weights(self) -> dict[str, np.ndarray]:
        """Return copies of parameters and state."""
        return {name: array.detach().numpy().copy() for name, array in self.arrays.items()}

    def train(self, steps: Steps) -> np.ndarray:
        """Make the steps, each with its own learning rate."""
        losses = []
        for step, rate in enumerate(steps.learning_rates):
            rows = torch.from_numpy(steps.indices[step])
            draws = (array if array is None else array[step] for array in (steps.offsets, steps.flips))
            losses.append(self._step(self._batch(rows, *draws), self.targets[rows], float(rate)))
        return torch.stack(losses).numpy()

    def predict(self, inputs: np.ndarray, network: str = "model") -> np.ndarray:
        """Running statistics are used and left as they are; no dropout."""
        with torch.no_grad():
            parts = torch.tensor(inputs).split(PREDICT_ROWS)
            return torch.cat([apply(self.places, x, self.arrays, training=False) for x in parts]).numpy()

    def synchronize(self) -> None:
        """Do nothing: on the CPU each call of PyTorch ends with its work."""

    def training_state(self) -> dict[str, np.ndarray]:
        """Copy moments, the number of steps, and the generator from which dropout draws."""
        moments = {
            f"{place}/{name}": moment.numpy().copy()
            for name, both in self.moments.items()
            for place, moment in enumerate(both)
        }
        return moments | {"steps": np.array(self.steps), "generator": torch.get_rng_state().numpy()}

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Copy back what :meth:`training_state` returned."""
        for name in self.moments:
            self.moments[name] = tuple(torch.tensor(state[f"{place}/{name}"]) for place in range(2))
        self.steps = int(state["steps"])
        torch.set_rng_state(torch.tensor(state["generator"]))
