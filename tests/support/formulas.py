"""The forward pass of every layer in plain NumPy, as harness.layers states it; no gradients."""

import math

import numpy as np

from harness.layers import (
    Activation,
    AveragePool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Embedding,
    Flatten,
    GlobalAveragePool,
    LayerNorm,
    PositionEmbedding,
    Reshape,
    Residual,
    SelfAttention,
    Skip,
    Unembedding,
    UpSample2D,
)

_erf = np.vectorize(math.erf)
ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "gelu": lambda x: 0.5 * x * (1 + _erf(x / math.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1 + np.exp(-x)),
}


class Forward:
    """Outputs of a network for ``weights`` by their names; ``state`` is that after a step of training."""

    def __init__(self, network, weights, *, training):
        self._network, self._weights, self._training = network, weights, training
        self.state = {}

    def __call__(self, inputs):
        return self._sequence(self._network.placed(), inputs)

    def _sequence(self, places, x):
        for place in places:
            x = self._layer(place, x)
            function = getattr(place.layer, "activation", None)
            x = ACTIVATIONS[function](x) if function else x
        return x

    def _layer(self, place, x):
        w = {
            name.removeprefix(f"{place.name}/"): array
            for name, array in self._weights.items()
            if name.startswith(f"{place.name}/")
        }
        match place.layer:
            case Residual():
                return self._sequence(place.branches["shortcut"], x) + self._sequence(
                    place.branches["body"], x
                )
            case Skip():
                return np.concatenate([x, self._sequence(place.branches["body"], x)], axis=-1)
            case BatchNorm():
                return self._batch_norm(place, x, w)
            case Unembedding(embedding=name):
                return x @ self._weights[f"{name}/table"].T
        return plain(place.layer, x, w)

    def _batch_norm(self, place, x, w):
        mean, variance, layer = w["running_mean"], w["running_variance"], place.layer
        if self._training:
            axes = tuple(range(x.ndim - 1))
            mean, variance, n = x.mean(axes), x.var(axes), x.size / x.shape[-1]
            for name, new in (("running_mean", mean), ("running_variance", variance * n / (n - 1))):
                old = w[name]
                self.state[f"{place.name}/{name}"] = old + layer.update_rate * (new - old)
        return _normalized(x, mean, variance, layer.epsilon, w)


def plain(layer, x, w):  # noqa: PLR0911 - one line for each kind of layer
    """The output of a layer without state or branches, before its own activation."""
    match layer:
        case Conv2D() | Conv1D():
            return _convolution(layer, x, w)
        case Dense():
            return x @ w["kernel"] + w.get("bias", 0.0)
        case Activation(function):
            return ACTIVATIONS[function](x)
        case AveragePool2D(size):
            n, rows, columns, channels = x.shape
            rows, columns = rows // size, columns // size
            x = x[:, : rows * size, : columns * size]
            return x.reshape(n, rows, size, columns, size, channels).mean((2, 4))
        case UpSample2D(factor):
            return x.repeat(factor, axis=1).repeat(factor, axis=2)
        case GlobalAveragePool():
            return x.mean(tuple(range(1, x.ndim - 1)))
        case Flatten():
            return x.reshape(len(x), -1)
        case Reshape(shape):
            return x.reshape(len(x), *shape)
        case LayerNorm(epsilon):
            return _normalized(x, x.mean(-1, keepdims=True), x.var(-1, keepdims=True), epsilon, w)
        case Embedding():
            return w["table"][x]
        case PositionEmbedding():
            return x + w["table"][: x.shape[1]]
        case SelfAttention():
            return _attention(layer, x, w)
    raise NotImplementedError(layer)


def cross_entropy(logits, targets, smoothing=0.0):
    """The term of each target."""
    maxima = logits.max(-1)
    normaliser = np.log(np.exp(logits - maxima[..., None]).sum(-1)) + maxima
    chosen = np.take_along_axis(logits, targets[..., None], -1)[..., 0]
    return normaliser - (1 - smoothing) * chosen - smoothing * logits.mean(-1)


def binary_cross_entropy(logits, targets):
    """The term of each target; ``logits (batch, 1)``."""
    z = logits[:, 0]
    return np.maximum(z, 0) - z * targets + np.log1p(np.exp(-np.abs(z)))


def _normalized(x, mean, variance, epsilon, w):
    return w["scale"] * (x - mean) / np.sqrt(variance + epsilon) + w["bias"]


def _convolution(layer, x, w):
    axes = x.ndim - 2
    zeros = [layer.same_padding(n) for n in x.shape[1:-1]]
    outputs = layer.output_shape(x.shape[1:])
    x = np.pad(x, [(0, 0), *zeros, (0, 0)])
    y = np.zeros((len(x), *outputs))
    for place in np.ndindex((layer.kernel_size,) * axes):
        windows = (
            slice(start, start + layer.strides * (n - 1) + 1, layer.strides)
            for start, n in zip(place, outputs, strict=False)
        )
        y += x[(slice(None), *windows)] @ w["kernel"][place]
    return y + w.get("bias", 0.0)


def _attention(layer, x, w):
    steps, width = x.shape[1:]
    size = width // layer.heads
    qkv = x @ w["qkv_kernel"] + w["qkv_bias"]
    y = np.zeros(x.shape)
    for head in range(layer.heads):
        columns = slice(head * size, (head + 1) * size)
        q, k, v = (part[..., columns] for part in np.split(qkv, 3, axis=-1))
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(size)
        if layer.causal:
            scores = np.where(np.tri(steps, dtype=bool), scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        y[..., columns] = weights / weights.sum(-1, keepdims=True) @ v
    return y @ w["output_kernel"] + w["output_bias"]
