"""Training in plain NumPy with a backward pass by hand: the contract of :mod:`harness.spec` in code.

It shares no code with any backend or framework, so it can say whether their work is right. It is slow, and
covers classification and regression by dense and convolutional networks without dropout or augmentation.
"""

from collections.abc import Mapping

import numpy as np

from harness.spec.backend import Unsupported
from harness.spec.task import (
    Adam,
    Adversarial,
    Augmentation,
    Classification,
    Objective,
    Optimizer,
    RmsProp,
    Sgd,
    Task,
)
from harness.testing.numpy_layers import Array, Backward, forward, is_covered


class NumpyTraining:
    """A task in training: ``train`` on blocks of batch indices, read ``weights``, ``predict``."""

    def __init__(self, task: Task, inputs: Array, targets: Array, weights: Mapping[str, Array]) -> None:
        """It computes in float64; ``inputs (n, *input)``. Raises Unsupported for what it does not cover."""
        refuse_uncovered(task)
        self._task = task
        self._inputs, self._targets = inputs, targets
        self._moments = {name: (np.zeros(w.shape), np.zeros(w.shape)) for name, w in weights.items()}
        self._step = 0
        self.weights: dict[str, Array] = {}
        self.load(weights)

    def load(self, weights: Mapping[str, Array]) -> None:
        """Take these weights; the optimizer's state stays as it is."""
        self.weights = {name: array.astype(np.float64) for name, array in weights.items()}

    def train(self, indices: Array) -> Array:
        """Make the steps of ``indices (steps, batch)``; returns the loss of each, penalty included."""
        return np.array(
            [self._train_step(self._inputs[rows].astype(np.float64), self._targets[rows]) for rows in indices]
        )

    def predict(self, inputs: Array) -> Array:
        """Outputs ``(n, *output)`` in evaluation mode."""
        return self._forward(inputs.astype(np.float64))[0]

    def _train_step(self, inputs: Array, targets: Array) -> float:
        outputs, backwards = self._forward(inputs)
        loss, gradient = _loss(self._task.objective, outputs, targets)
        gradients: dict[str, Array] = {}
        for backward in reversed(backwards):
            gradient = backward(gradient, gradients)
        task, self._step = self._task, self._step + 1
        for name, w in self.weights.items():
            decay = 0.0
            if name.endswith("kernel"):
                loss += task.penalty.l1 * float(np.abs(w).sum()) + task.penalty.l2 * float((w**2).sum())
                gradients[name] = gradients[name] + task.penalty.l1 * np.sign(w) + 2 * task.penalty.l2 * w
                decay = task.optimizer.learning_rate * task.weight_decay
            change = _step(task.optimizer, gradients[name], self._moments[name], self._step)
            w[...] = (1 - decay) * w - change
        return loss

    def _forward(self, x: Array) -> tuple[Array, list[Backward]]:
        """The output, and the backward pass of each layer."""
        backwards = []
        for place in self._task.networks["model"].placed():
            x, backward = forward(f"model/{place.name}", place.layer, x, self.weights)
            backwards.append(backward)
        return x, backwards


def refuse_uncovered(task: Task) -> None:
    """Raise Unsupported for a task that this module has no training of."""
    if isinstance(task.objective, Adversarial) or task.augmentation != Augmentation():
        raise Unsupported("no adversarial tasks and no augmentation")
    for place in task.networks["model"].placed():
        if not is_covered(place.layer):
            raise Unsupported(f"no {type(place.layer).__name__}")


def _loss(objective: Objective, outputs: Array, targets: Array) -> tuple[float, Array]:
    """The mean loss of a batch, and its gradient with respect to the outputs."""
    if not isinstance(objective, Classification):
        difference = outputs - targets.reshape(outputs.shape)
        return float((difference**2).mean()), 2 * difference / difference.size
    logits, rows = outputs - outputs.max(axis=1, keepdims=True), np.arange(len(targets))
    exponentials = np.exp(logits)
    sums = exponentials.sum(axis=1)
    weight = np.ones(len(targets))
    if objective.class_weights:
        weight = np.array(objective.class_weights)[targets]
    loss = (weight * (np.log(sums) - logits[rows, targets])).mean()
    gradient = exponentials / sums[:, None]
    gradient[rows, targets] -= 1
    return float(loss), gradient * weight[:, None] / len(targets)


def _step(optimizer: Optimizer, g: Array, moments: tuple[Array, Array], t: int) -> Array:
    """What step ``t``, counted from 1, subtracts from the weight; updates the moments in place."""
    m, v = moments
    match optimizer:
        case Sgd():
            m[...] = optimizer.momentum * m + g
            return optimizer.learning_rate * (g + optimizer.momentum * m if optimizer.nesterov else m)
        case Adam():
            beta_1, beta_2 = optimizer.beta_1, optimizer.beta_2
            m[...] = beta_1 * m + (1 - beta_1) * g
            v[...] = beta_2 * v + (1 - beta_2) * g**2
            root = np.sqrt(v / (1 - beta_2**t))
            return optimizer.learning_rate * (m / (1 - beta_1**t)) / (root + optimizer.epsilon)
        case RmsProp():
            v[...] = optimizer.rho * v + (1 - optimizer.rho) * g**2
            return optimizer.learning_rate * g / (np.sqrt(v) + optimizer.epsilon)
