"""Losses in plain NumPy, with their gradients."""

import numpy as np

from harness.spec.task import BinaryClassification, Classification, Objective
from harness.testing.numpy_arrays import Array


def loss_and_gradient(objective: Objective, outputs: Array, targets: Array) -> tuple[float, Array]:
    """The mean loss of a batch, and its gradient with respect to the outputs."""
    match objective:
        case Classification():
            return _cross_entropy(objective, outputs, targets)
        case BinaryClassification(class_weights):
            return _binary_cross_entropy(class_weights, outputs, targets)
    difference = outputs - targets.reshape(outputs.shape)
    return float((difference**2).mean()), 2 * difference / difference.size


def _cross_entropy(objective: Classification, outputs: Array, targets: Array) -> tuple[float, Array]:
    classes, labels = outputs.shape[-1], targets.ravel()
    logits, rows = outputs.reshape(-1, classes), np.arange(len(labels))
    logits = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(logits)
    sums = exponentials.sum(axis=1)
    weight = np.ones(len(labels))
    if objective.class_weights:
        weight = np.array(objective.class_weights)[labels]
    smoothing = objective.label_smoothing
    wanted = (1 - smoothing) * logits[rows, labels] + smoothing * logits.mean(axis=1)
    gradient = exponentials / sums[:, None] - smoothing / classes
    gradient[rows, labels] -= 1 - smoothing
    loss = (weight * (np.log(sums) - wanted)).mean()
    return float(loss), (gradient * weight[:, None] / len(labels)).reshape(outputs.shape)


def _binary_cross_entropy(
    class_weights: tuple[float, ...], outputs: Array, targets: Array
) -> tuple[float, Array]:
    logits, labels = outputs[:, 0], targets.ravel()
    weight = np.array(class_weights)[labels] if class_weights else np.ones(len(labels))
    losses = np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))
    share = 0.5 * (1 + np.tanh(0.5 * logits))
    return float((weight * losses).mean()), (weight * (share - labels) / len(labels))[:, None]
