"""The Keras form of ``plain_torch.py``."""

import keras
from keras import layers


def make(width=8, epsilon=1e-5):
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(width, 3, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9, epsilon=epsilon)(x))
    x = layers.MaxPooling2D(4)(x)
    x = layers.Reshape((width * 64,))(layers.Permute((3, 1, 2))(x))
    return keras.Model(inputs, layers.Dense(10)(x))


def with_another_epsilon():
    return make(epsilon=1e-3)
