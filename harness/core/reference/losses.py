"""Losses in plain NumPy, with their gradients."""

import numpy as np

from harness.core.reference.activations import logistic
from harness.core.reference.attention import softmax
from harness.core.reference.passes import Array
from harness.spec.task import BinaryClassification, Classification, Objective, Regression


def loss_and_gradient(objective: Objective, outputs: Array, targets: Array) -> tuple[float, Array]:
    """Return the mean loss of a batch, and its gradient with respect to the outputs."""
    match objective:
        case Classification(loss="cross_entropy"):
            return _cross_entropy(objective, outputs, targets)
        case BinaryClassification(loss="cross_entropy"):
            return _binary_cross_entropy(objective, outputs, targets)
        case Classification() | BinaryClassification():
            return _class_errors(objective, outputs, targets)
        case Regression():
            return _errors(objective.loss, outputs - targets.reshape(outputs.shape))
        case _:
            raise ValueError(f"{objective} has no loss of targets")


def _errors(loss: str, errors: Array) -> tuple[float, Array]:
    """Return the mean over errors ``(batch, outputs)`` and its gradient."""
    match loss:
        case "mse":
            terms, slopes = errors**2, 2 * errors
        case "mae":
            terms, slopes = np.abs(errors), np.sign(errors)
        case _:
            small = np.clip(errors, -1, 1)
            terms, slopes = small * (errors - small / 2), small
    return float(terms.mean()), slopes / errors.size


def _class_errors(
    objective: Classification | BinaryClassification, outputs: Array, targets: Array
) -> tuple[float, Array]:
    """Return squared errors of the softmax, the sigmoid, or the logits, with the gradient for the logits."""
    classes, labels = outputs.shape[-1], targets.ravel()
    logits = outputs.reshape(-1, classes)
    wanted = labels[:, None] if classes == 1 else np.eye(classes)[labels]
    values = logits
    if objective.loss == "mse_softmax":
        values = softmax(logits)
    elif objective.loss == "mse_sigmoid":
        values = logistic(logits)
    weight = _weight_of(objective, labels)
    errors = values - wanted
    gradient = 2 * weight[:, None] * errors / errors.size
    if objective.loss == "mse_softmax":
        gradient = values * (gradient - (gradient * values).sum(axis=1, keepdims=True))
    elif objective.loss == "mse_sigmoid":
        gradient = gradient * values * (1 - values)
    return float((weight[:, None] * errors**2).mean()), gradient.reshape(outputs.shape)


def _cross_entropy(objective: Classification, outputs: Array, targets: Array) -> tuple[float, Array]:
    classes, labels = outputs.shape[-1], targets.ravel()
    logits, rows = outputs.reshape(-1, classes), np.arange(len(labels))
    logits = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(logits)
    sums = exponentials.sum(axis=1)
    weight, smoothing = _weight_of(objective, labels), objective.label_smoothing
    wanted = (1 - smoothing) * logits[rows, labels] + smoothing * logits.mean(axis=1)
    gradient = exponentials / sums[:, None] - smoothing / classes
    gradient[rows, labels] -= 1 - smoothing
    loss = (weight * (np.log(sums) - wanted)).mean()
    return float(loss), (gradient * weight[:, None] / len(labels)).reshape(outputs.shape)


def _binary_cross_entropy(
    objective: BinaryClassification, outputs: Array, targets: Array
) -> tuple[float, Array]:
    logits, labels = outputs[:, 0], targets.ravel()
    weight = _weight_of(objective, labels)
    losses = np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))
    gradient = weight * (logistic(logits) - labels) / len(labels)
    return float((weight * losses).mean()), gradient[:, None]


def _weight_of(objective: Classification | BinaryClassification, labels: Array) -> Array:
    """Return the weight of each sample, which is the weight of its class."""
    return np.array(objective.class_weights)[labels] if objective.class_weights else np.ones(len(labels))
