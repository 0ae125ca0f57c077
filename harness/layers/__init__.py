"""The kinds of layer as data, from which shapes, parameters, state and FLOPs follow.

No framework and no NumPy here. Shapes omit the batch and put channels last: a picture is
``(height, width, channels)``, a sequence ``(steps, features)``. A backend translates each kind into its
framework's own module, once.
"""

from harness.layers.attention import Embedding, PositionEmbedding, SelfAttention, Unembedding
from harness.layers.base import Initializer, Layer, Padding, Parameter, Shape
from harness.layers.convolutions import Conv1D, Conv2D, ConvTranspose2D
from harness.layers.elementary import (
    LEAKY_RELU_SLOPE,
    Activation,
    ActivationName,
    AveragePool2D,
    BatchNorm,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool,
    GroupNorm,
    LayerNorm,
    MaxPool2D,
    Reshape,
    UpSample2D,
)
from harness.layers.native import Native, NativeArray, NativeModel
from harness.layers.recurrent import GRU, LSTM
from harness.layers.tree import AnyLayer, Composite, PlacedLayer, Residual, Skip, exchanged, leaves

__all__ = [
    "GRU",
    "LEAKY_RELU_SLOPE",
    "LSTM",
    "Activation",
    "ActivationName",
    "AnyLayer",
    "AveragePool2D",
    "BatchNorm",
    "Composite",
    "Conv1D",
    "Conv2D",
    "ConvTranspose2D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAveragePool",
    "GroupNorm",
    "Initializer",
    "Layer",
    "LayerNorm",
    "MaxPool2D",
    "Native",
    "NativeArray",
    "NativeModel",
    "Padding",
    "Parameter",
    "PlacedLayer",
    "PositionEmbedding",
    "Reshape",
    "Residual",
    "SelfAttention",
    "Shape",
    "Skip",
    "Unembedding",
    "UpSample2D",
    "exchanged",
    "leaves",
]
