"""Layers in plain NumPy, each with its backward pass by hand; see :mod:`harness.reference.training`.

No code is shared with a backend. Dropout and models of users are missing.
"""

from collections.abc import Callable, Sequence

import numpy as np

from harness.layers import (
    GRU,
    LSTM,
    Activation,
    ActivationName,
    AveragePool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePool,
    Layer,
    LayerNorm,
    MaxPool2D,
    Native,
    PlacedLayer,
    PositionEmbedding,
    Reshape,
    Residual,
    SelfAttention,
    Skip,
    Unembedding,
    UpSample2D,
)
from harness.reference import convolutions as pictures
from harness.reference.functions import (
    ACTIVATIONS,
    Array,
    Backward,
    Gradients,
    Pass,
    add,
    add_positions,
    attend,
    backwards,
    batch_norm,
    embed,
    layer_norm,
    unembed,
)
from harness.reference.recurrent import recur

#: A product with a kernel, then the bias and the activation.
_Weighted = Conv2D | Conv1D | ConvTranspose2D | Dense


def is_covered(layer: Layer) -> bool:
    """Whether this module has the layer; it must contain no other."""
    if isinstance(layer, Dropout | SelfAttention):
        return not (layer.rate if isinstance(layer, Dropout) else layer.dropout)
    return not isinstance(layer, Native)


def forward_all(network: str, places: Sequence[PlacedLayer], x: Array, made: Pass) -> tuple[Array, Backward]:
    """The output of layers in their places in a network, one after the other, and their backward pass."""
    passes = []
    for place in places:
        x, backward = _forward(network, place, x, made)
        passes.append(backward)
    return x, backwards(passes)


def _forward(network: str, place: PlacedLayer, x: Array, made: Pass) -> tuple[Array, Backward]:
    match place.layer:
        case Residual():
            return _residual(network, place, x, made)
        case Skip():
            return _skip(network, place, x, made)
        case Unembedding(embedding=table):
            return unembed(f"{network}/{table}/table", x, made)
    return _leaf(f"{network}/{place.name}", place.layer, x, made)


def _leaf(name: str, layer: Layer, x: Array, made: Pass) -> tuple[Array, Backward]:  # noqa: PLR0911  a table
    """The output ``(n, *output)`` of a layer whose weights begin with ``name``, and its backward pass."""
    match layer:
        case Conv2D() | Conv1D() | ConvTranspose2D() | Dense():
            return _weighted(name, layer, x, made)
        case Activation(function):
            y, slope = ACTIVATIONS[function](x)
            return y, lambda gradient, _: gradient * slope
        case BatchNorm():
            return batch_norm(name, layer, x, made)
        case LayerNorm():
            return layer_norm(name, layer, x, made)
        case Embedding():
            return embed(f"{name}/table", x, made)
        case PositionEmbedding():
            return add_positions(f"{name}/table", x, made)
        case SelfAttention():
            return attend(name, layer, x, made)
        case GRU() | LSTM():
            return recur(name, layer, x, made)
        case Flatten() | Reshape():
            shape = x.shape
            flat = x.reshape(len(x), *(layer.shape if isinstance(layer, Reshape) else (-1,)))
            return flat, lambda gradient, _: gradient.reshape(shape)
    return _sampled(layer, x)


def _sampled(layer: Layer, x: Array) -> tuple[Array, Backward]:
    match layer:
        case MaxPool2D(pool_size):
            return pictures.max_pool(x, pool_size)
        case AveragePool2D(pool_size):
            return pictures.average_pool(x, pool_size)
        case GlobalAveragePool():
            return pictures.average_all(x)
        case UpSample2D(factor):
            return pictures.up_sample(x, factor)
    return x, lambda gradient, _: gradient


def _residual(network: str, place: PlacedLayer, x: Array, made: Pass) -> tuple[Array, Backward]:
    body, body_backward = forward_all(network, place.branches["body"], x, made)
    shortcut, shortcut_backward = forward_all(network, place.branches["shortcut"], x, made)

    def backward(gradient: Array, gradients: Gradients) -> Array:
        return body_backward(gradient, gradients) + shortcut_backward(gradient, gradients)

    return body + shortcut, backward


def _skip(network: str, place: PlacedLayer, x: Array, made: Pass) -> tuple[Array, Backward]:
    body, body_backward = forward_all(network, place.branches["body"], x, made)
    channels = x.shape[-1]

    def backward(gradient: Array, gradients: Gradients) -> Array:
        return gradient[..., :channels] + body_backward(gradient[..., channels:], gradients)

    return np.concatenate([x, body], axis=-1), backward


def _weighted(name: str, layer: _Weighted, x: Array, made: Pass) -> tuple[Array, Backward]:
    w = made.weights[f"{name}/kernel"]
    turned = -1 if isinstance(layer, ConvTranspose2D) and made.rules.flipped else 1
    y, product_backward = _product(layer, x, w[::turned, ::turned])
    biased = f"{name}/bias" in made.weights
    if biased:
        y = y + made.weights[f"{name}/bias"]
    y, slope = _activated(layer.activation, y)

    def backward(gradient: Array, gradients: Gradients) -> Array:
        gradient = gradient * slope
        if biased:
            add(gradients, f"{name}/bias", gradient.sum(axis=tuple(range(gradient.ndim - 1))))
        x_gradient, kernel_gradient = product_backward(gradient)
        add(gradients, f"{name}/kernel", kernel_gradient[::turned, ::turned])
        return x_gradient

    return y, backward


def _activated(activation: ActivationName | None, y: Array) -> tuple[Array, Array]:
    return ACTIVATIONS[activation](y)


def _product(layer: _Weighted, x: Array, w: Array) -> tuple[Array, Callable[[Array], tuple[Array, Array]]]:
    """The product with a kernel, and from its gradient those of ``x`` and of the kernel."""
    if isinstance(layer, Conv2D):
        rows, columns = (layer.same_padding(axis) for axis in x.shape[1:3])
        return pictures.convolve(x, w, (layer.strides, layer.strides), (rows, columns))
    if isinstance(layer, Conv1D):
        return pictures.convolve_sequence(x, w, layer.strides, layer.same_padding(x.shape[1]))
    if isinstance(layer, ConvTranspose2D):
        return pictures.convolve_transposed(x, w, layer.strides, layer.crop)
    leading = list(range(x.ndim - 1))
    return x @ w, lambda gradient: (gradient @ w.T, np.tensordot(x, gradient, (leading, leading)))
