"""Training in plain NumPy float64 with a backward pass by hand: the contract of harness.spec in code.

Shares no code with any backend or framework. Dropout layers must have rate 0.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from harness.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, Reshape
from harness.spec.task import Adam, RmsProp, Sgd


class NumpyTraining:
    """A task in training: ``train`` on blocks of batch indices, read ``weights``, ``predict``."""

    def __init__(self, task, inputs, targets, weights):
        self.weights = {name: array.astype(np.float64) for name, array in weights.items()}
        self._task = task
        self._inputs, self._targets = inputs.astype(np.float64), targets
        self._moments = {name: (np.zeros_like(w), np.zeros_like(w)) for name, w in self.weights.items()}
        self._step = 0

    def train(self, indices):
        """Make the steps of ``indices (steps, batch)``; returns the loss of each, penalty included."""
        return np.array([self._train_step(self._inputs[rows], self._targets[rows]) for rows in indices])

    def predict(self, inputs):
        """Logits ``(n, classes)``."""
        return self._forward(inputs.astype(np.float64))[0]

    def _train_step(self, inputs, targets):
        logits, backward = self._forward(inputs)
        loss, gradient = _cross_entropy(logits, targets)
        gradients = backward(gradient)
        penalty = self._task.penalty
        for name, w in self.weights.items():
            if name.endswith("/kernel"):
                loss += penalty.l1 * np.abs(w).sum() + penalty.l2 * (w**2).sum()
                gradients[name] = gradients[name] + penalty.l1 * np.sign(w) + penalty.l2 * 2 * w
        self._step += 1
        for name, w in self.weights.items():
            w[...] -= _step(self._task.optimizer, gradients[name], self._moments[name], self._step)
        return loss

    def _forward(self, x):
        """The output, and a function from its gradient to the gradients of all weights."""
        backwards = []
        for place in self._task.networks["model"].placed():
            x, backward = self._layer(f"model/{place.name}", place.layer, x)
            backwards.append(backward)

        def backward_all(gradient):
            gradients = {}
            for backward in reversed(backwards):
                gradient = backward(gradient, gradients)
            return gradients

        return x, backward_all

    def _layer(self, name, layer, x):
        match layer:
            case Conv2D() | Dense():
                w, b = self.weights[f"{name}/kernel"], self.weights[f"{name}/bias"]
                product = _convolve if isinstance(layer, Conv2D) else _multiply
                return _weighted(name, layer, product(x, w), b)
            case MaxPool2D(size):
                return _max_pool(x, size)
            case Flatten():
                shape = x.shape
                return x.reshape(len(x), -1), lambda gradient, _: gradient.reshape(shape)
            case Reshape(to):
                shape = x.shape
                return x.reshape(len(x), *to), lambda gradient, _: gradient.reshape(shape)
            case Dropout(0.0):
                return x, lambda gradient, _: gradient


def _weighted(name, layer, product, b):
    y, product_backward = product
    y = y + b
    mask = y > 0 if layer.activation == "relu" else np.ones(y.shape, bool)

    def backward(gradient, gradients):
        gradient = gradient * mask
        gradients[f"{name}/bias"] = gradient.sum(axis=tuple(range(gradient.ndim - 1)))
        x_gradient, gradients[f"{name}/kernel"] = product_backward(gradient)
        return x_gradient

    return y * mask, backward


def _multiply(x, w):
    leading = list(range(x.ndim - 1))
    return x @ w, lambda gradient: (gradient @ w.T, np.tensordot(x, gradient, (leading, leading)))


def _convolve(x, w):
    height, width = w.shape[:2]
    windows = sliding_window_view(x, (height, width), axis=(1, 2))  # (n, y, x, in, i, j)

    def backward(gradient):
        x_gradient = np.zeros_like(x)
        rows, columns = gradient.shape[1:3]
        for i in range(height):
            for j in range(width):
                x_gradient[:, i : i + rows, j : j + columns] += gradient @ w[i, j].T
        return x_gradient, np.einsum("nyxcij,nyxf->ijcf", windows, gradient)

    return np.einsum("nyxcij,ijcf->nyxf", windows, w), backward


def _max_pool(x, size):
    n, height, width, channels = x.shape
    rows, columns = height // size, width // size
    whole = (slice(None), slice(rows * size), slice(columns * size))
    windows = x[whole].reshape(n, rows, size, columns, size, channels).transpose(0, 1, 3, 5, 2, 4)
    windows = windows.reshape(n, rows, columns, channels, size * size)
    largest = windows.argmax(axis=-1)[..., None]

    def backward(gradient, _):
        spread = np.zeros_like(windows)
        np.put_along_axis(spread, largest, gradient[..., None], axis=-1)
        spread = spread.reshape(n, rows, columns, channels, size, size).transpose(0, 1, 4, 2, 5, 3)
        x_gradient = np.zeros_like(x)
        x_gradient[whole] = spread.reshape(n, rows * size, columns * size, channels)
        return x_gradient

    return np.take_along_axis(windows, largest, axis=-1)[..., 0], backward


def _cross_entropy(logits, targets):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    rows = np.arange(len(targets))
    gradient = probabilities.copy()
    gradient[rows, targets] -= 1
    return -np.log(probabilities[rows, targets]).mean(), gradient / len(targets)


def _step(optimizer, g, moments, t):
    """What step ``t``, counted from 1, subtracts from the weight; updates the moments in place."""
    m, v = moments
    match optimizer:
        case Sgd(learning_rate, momentum, nesterov):
            m[...] = momentum * m + g
            return learning_rate * (g + momentum * m if nesterov else m)
        case Adam(learning_rate, beta_1, beta_2, epsilon):
            m[...] = beta_1 * m + (1 - beta_1) * g
            v[...] = beta_2 * v + (1 - beta_2) * g**2
            return learning_rate * (m / (1 - beta_1**t)) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
        case RmsProp(learning_rate, rho, epsilon):
            v[...] = rho * v + (1 - rho) * g**2
            return learning_rate * g / (np.sqrt(v) + epsilon)
