"""Training in plain NumPy with a backward pass by hand: the contract of :mod:`harness.spec` in code.

It shares no code with any backend or framework, so it can say whether their work is right. It is slow, and
covers supervised tasks without dropout, recurrent layers and transposed convolutions.
"""

from collections.abc import Mapping

import numpy as np

from harness.layers import Embedding
from harness.spec.backend import Steps, Unsupported
from harness.spec.task import Adversarial, Task
from harness.testing.numpy_arrays import Array, Backward, Gradients, Pass
from harness.testing.numpy_attention import OUTPUT_TABLE
from harness.testing.numpy_layers import forward_all, is_covered
from harness.testing.numpy_objectives import loss_and_gradient
from harness.testing.numpy_rules import CONTRACT_RULES, Rules
from harness.testing.numpy_updates import change, clipped, kept_share


class NumpyTraining:
    """A task in training: ``train`` on steps, read ``weights``, ``predict``."""

    def __init__(
        self,
        task: Task,
        inputs: Array,
        targets: Array,
        weights: Mapping[str, Array],
        rules: Rules = CONTRACT_RULES,
    ) -> None:
        """It computes in float64; ``inputs (n, *input)``. Raises Unsupported for what it does not cover."""
        refuse_uncovered(task)
        self._task, self._rules = task, rules
        self._places = task.networks["model"].placed()
        self._tables = [
            f"model/{place.name}/table" for place in self._places if isinstance(place.layer, Embedding)
        ]
        self._inputs, self._targets = inputs, targets
        self.weights: dict[str, Array] = {}
        self.load(weights)
        self._moments = {name: (np.zeros(w.shape), np.zeros(w.shape)) for name, w in self.weights.items()}
        self._step = 0

    def load(self, weights: Mapping[str, Array]) -> None:
        """Take these weights; the optimizer's state stays as it is."""
        self.weights = {name: array.astype(np.float64) for name, array in weights.items()}
        if not self._rules.tied:
            self.weights |= {OUTPUT_TABLE.format(name): self.weights[name].copy() for name in self._tables}

    def train(self, steps: Steps) -> Array:
        """Make the steps; returns the loss of each, penalty included."""
        rates = steps.learning_rates
        if rates is None:
            rates = np.full(len(steps.indices), self._task.optimizer.learning_rate)
        losses = []
        for index, rows in enumerate(steps.indices):
            inputs = _augmented(
                self._inputs[rows].astype(np.float64), steps, index, self._task.augmentation.crop
            )
            losses.append(self._train_step(inputs, self._targets[rows], float(rates[index])))
        return np.array(losses)

    def predict(self, inputs: Array) -> Array:
        """Outputs ``(n, *output)`` in evaluation mode."""
        return self._forward(inputs.astype(np.float64), Pass(self.weights, self._rules))[0]

    def _train_step(self, inputs: Array, targets: Array, rate: float) -> float:
        made = Pass(self.weights, self._rules, training=True)
        outputs, backward = self._forward(inputs, made)
        loss, gradient = loss_and_gradient(self._task.objective, outputs, targets)
        gradients: Gradients = {}
        backward(gradient, gradients)
        task, self._step = self._task, self._step + 1
        for name in gradients:
            if name.endswith("kernel"):
                w = self.weights[name]
                loss += task.penalty.l1 * float(np.abs(w).sum()) + task.penalty.l2 * float((w**2).sum())
                gradients[name] = gradients[name] + task.penalty.l1 * np.sign(w) + 2 * task.penalty.l2 * w
        for name, g in clipped(gradients, task.clip_norm, self._rules).items():
            step = change(task.optimizer, g, self._moments[name], self._step, rate, self._rules)
            self.weights[name] = kept_share(task, name, rate, self._rules) * self.weights[name] - step
        self.weights |= made.state
        return loss

    def _forward(self, x: Array, made: Pass) -> tuple[Array, Backward]:
        return forward_all("model", self._places, x, made)


def refuse_uncovered(task: Task) -> None:
    """Raise Unsupported for a task that this module has no training of."""
    if isinstance(task.objective, Adversarial):
        raise Unsupported("no adversarial tasks")
    for place in task.networks["model"].leaves():
        if not is_covered(place.layer):
            raise Unsupported(f"no {type(place.layer).__name__}")


def _augmented(pictures: Array, steps: Steps, index: int, crop: int) -> Array:
    """Pictures ``(n, height, width, channels)`` of a step, cropped and then flipped as its draws say."""
    if steps.offsets is not None:
        _, height, width, _ = pictures.shape
        padded = np.pad(pictures, ((0, 0), (crop, crop), (crop, crop), (0, 0)))
        places = zip(padded, steps.offsets[index], strict=True)
        pictures = np.stack([p[row : row + height, left : left + width] for p, (row, left) in places])
    if steps.flips is not None:
        mirrored = steps.flips[index][:, None, None, None]
        pictures = np.where(mirrored, pictures[:, :, ::-1], pictures)
    return pictures
