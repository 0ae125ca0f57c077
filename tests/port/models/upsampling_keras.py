"""The autoencoder in Keras."""

import keras
from keras import layers, ops


def make(faults=()):
    has = set(faults)
    inputs = keras.Input((8, 8, 4))
    if "groups" in has:
        x = layers.Conv2D(8, 3, padding="same", groups=2, name="depthwise")(inputs)
    else:
        x = layers.Conv2D(8, 3, padding="same", groups=4, name="depthwise")(inputs)
    groups = 2 if "normalisation groups" in has else 4
    x = layers.GroupNormalization(groups, epsilon=1e-3 if "epsilon" in has else 1e-5, name="norm")(x)
    x = ops.silu(x)
    if "transposed kernel" in has:
        x = Turned(name="square")(x)
    else:
        x = layers.Conv2D(8, 3, padding="same", name="square")(x)
    x = layers.Conv2D(8, 2, 2, name="down")(ops.relu(x))
    if "padding" in has:
        x = layers.Conv2DTranspose(6, 3, 2, padding="same", name="up")(x)
    else:
        x = layers.Conv2DTranspose(6, 3, 2, name="up")(x)[:, 1:, 1:]
    x = ops.relu(x)
    method = "nearest" if "resizing" in has else "bilinear"
    x = ops.image.resize(x, (12, 12), interpolation=method)
    x = layers.Conv2D(4, 1, name="last")(x)
    return keras.Model(inputs, ops.softmax(x, axis=1 if "softmax axis" in has else -1))


class Turned(layers.Layer):
    """A convolution whose kernel has height and width exchanged."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, 8, 8), name="kernel")
        self.bias = self.add_weight(shape=(8,), name="bias", initializer="zeros")

    def call(self, x):
        return ops.conv(x, ops.transpose(self.kernel, (1, 0, 2, 3)), padding="same") + self.bias
