"""Layers in plain NumPy, each with its backward pass by hand; see :mod:`harness.core.reference.training`.

No code is shared with a backend. Dropout and models of users are missing.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from harness.core.reference.activations import ACTIVATIONS
from harness.core.reference.attention import add_positions, attend, embed, unembed
from harness.core.reference.convolutions import (
    ProductBackward,
    average_all,
    convolve,
    convolve_transposed,
    pool,
    up_sample,
)
from harness.core.reference.normalisation import NORMALISATIONS
from harness.core.reference.passes import Array, Backward, Gradients, Pass, add, backwards
from harness.core.reference.recurrent import recur
from harness.layers import (
    GRU,
    LSTM,
    Activation,
    AveragePool2D,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePool,
    Layer,
    MaxPool2D,
    PlacedLayer,
    PositionEmbedding,
    Reshape,
    Residual,
    SelfAttention,
    Skip,
    Unembedding,
    UpSample2D,
)
from harness.spec.backend import Unsupported

#: A product with a kernel, then the bias and the activation.
_Weighted = Conv2D | Conv1D | ConvTranspose2D | Dense
_Result = tuple[Array, Backward]


def is_covered(layer: Layer) -> bool:
    """Check that this module covers ``layer``, which must contain no other layer."""
    if isinstance(layer, Dropout | SelfAttention) and _dropped(layer):
        return False
    return type(layer) in _LAYERS or isinstance(layer, Unembedding)


def _dropped(layer: Dropout | SelfAttention) -> float:
    return layer.rate if isinstance(layer, Dropout) else layer.dropout


def forward_all(network: str, places: Sequence[PlacedLayer], x: Array, made: Pass) -> _Result:
    """Apply layers in their places in a network, one after the other; return output and backward pass."""
    passes = []
    for place in places:
        x, backward = _forward(network, place, x, made)
        passes.append(backward)
    return x, backwards(passes)


def _forward(network: str, place: PlacedLayer, x: Array, made: Pass) -> _Result:
    match place.layer:
        case Residual():
            return _residual(network, place, x, made)
        case Skip():
            return _skip(network, place, x, made)
        case Unembedding(embedding=table):
            return unembed(f"{network}/{table}/table", x, made)
    if not is_covered(place.layer):
        raise Unsupported(f"no {type(place.layer).__name__}")
    return _LAYERS[type(place.layer)](f"{network}/{place.name}", place.layer, x, made)


def _residual(network: str, place: PlacedLayer, x: Array, made: Pass) -> _Result:
    body, body_backward = forward_all(network, place.branches["body"], x, made)
    shortcut, shortcut_backward = forward_all(network, place.branches["shortcut"], x, made)

    def backward(gradient: Array, gradients: Gradients) -> Array:
        return body_backward(gradient, gradients) + shortcut_backward(gradient, gradients)

    return body + shortcut, backward


def _skip(network: str, place: PlacedLayer, x: Array, made: Pass) -> _Result:
    body, body_backward = forward_all(network, place.branches["body"], x, made)
    channels = x.shape[-1]

    def backward(gradient: Array, gradients: Gradients) -> Array:
        return gradient[..., :channels] + body_backward(gradient[..., channels:], gradients)

    return np.concatenate([x, body], axis=-1), backward


def _weighted(name: str, layer: _Weighted, x: Array, made: Pass) -> _Result:
    w = made.weights[f"{name}/kernel"]
    y, product_backward = _product(layer, x, w)
    biased = f"{name}/bias" in made.weights
    if biased:
        y = y + made.weights[f"{name}/bias"]
    y, slope = ACTIVATIONS[layer.activation](y)

    def backward(gradient: Array, gradients: Gradients) -> Array:
        gradient = gradient * slope
        if biased:
            add(gradients, f"{name}/bias", gradient.sum(axis=tuple(range(gradient.ndim - 1))))
        x_gradient, kernel_gradient = product_backward(gradient)
        add(gradients, f"{name}/kernel", kernel_gradient)
        return x_gradient

    return y, backward


def _product(layer: _Weighted, x: Array, w: Array) -> tuple[Array, ProductBackward]:
    """Multiply by a kernel; its backward pass gives the gradients of ``x`` and of the kernel."""
    axes = x.ndim - 2
    if isinstance(layer, Conv2D | Conv1D):
        zeros = [layer.same_padding(axis) for axis in x.shape[1:-1]]
        return convolve(x, w, (layer.strides,) * axes, zeros)
    if isinstance(layer, ConvTranspose2D):
        crop = ((layer.crop, layer.crop),) * axes
        return convolve_transposed(x, w, (layer.strides,) * axes, crop)
    leading = list(range(x.ndim - 1))
    return x @ w, lambda gradient: (gradient @ w.T, np.tensordot(x, gradient, (leading, leading)))


def _activation(_name: str, layer: Activation, x: Array, _made: Pass) -> _Result:
    y, slope = ACTIVATIONS[layer.function](x)
    return y, lambda gradient, _: gradient * slope


def _reshaped(_name: str, layer: Flatten | Reshape, x: Array, _made: Pass) -> _Result:
    flat = x.reshape(len(x), *(layer.shape if isinstance(layer, Reshape) else (-1,)))
    return flat, lambda gradient, _: gradient.reshape(x.shape)


#: Maps the prefix of its weights' names, the layer, its input and the pass to the output ``(n, *output)``
#: and the backward pass; what is missing here is not covered.
_LAYERS: dict[type[Layer], Callable[[str, Any, Array, Pass], _Result]] = {
    Conv2D: _weighted,
    Conv1D: _weighted,
    ConvTranspose2D: _weighted,
    Dense: _weighted,
    Activation: _activation,
    **NORMALISATIONS,
    Embedding: lambda name, _layer, x, made: embed(f"{name}/table", x, made),
    PositionEmbedding: lambda name, _layer, x, made: add_positions(f"{name}/table", x, made),
    SelfAttention: attend,
    GRU: recur,
    LSTM: recur,
    Flatten: _reshaped,
    Reshape: _reshaped,
    MaxPool2D: lambda _name, layer, x, _made: pool(x, "max", (layer.pool_size,) * 2),
    AveragePool2D: lambda _name, layer, x, _made: pool(x, "mean", (layer.pool_size,) * 2),
    GlobalAveragePool: lambda _name, _layer, x, _made: average_all(x),
    UpSample2D: lambda _name, layer, x, _made: up_sample(x, layer.factor),
    Dropout: lambda _name, _layer, x, _made: (x, lambda gradient, _: gradient),
}
