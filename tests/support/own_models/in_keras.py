"""Models of a user's own in Keras; :mod:`support.own_models.tasks` says where they hold their arrays."""

import keras
from keras import layers, ops


def cnn():
    """Built as a whole; its last layer asks for float32."""
    return keras.Sequential([
        keras.Input((6, 4, 3)),
        layers.Conv2D(5, 3, padding="same", use_bias=False),
        layers.BatchNormalization(momentum=0.8, epsilon=1e-4),
        layers.Activation("gelu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(4, dtype="float32"),
    ])  # fmt: skip


def channels_first_cnn():
    """The same in the other layout of pictures."""
    return keras.Sequential([
        keras.Input((3, 6, 4)),
        layers.Conv2D(5, 3, padding="same", use_bias=False, data_format="channels_first"),
        layers.BatchNormalization(1, momentum=0.8, epsilon=1e-4),
        layers.Activation("gelu"),
        layers.MaxPooling2D(2, data_format="channels_first"),
        layers.Permute((2, 3, 1)),
        layers.Flatten("channels_last"),
        layers.Dense(4),
    ])  # fmt: skip


class Transformer(keras.Model):
    """Built when it is called; tokens to the classes of a sequence."""

    def __init__(self):
        super().__init__()
        self.table = layers.Embedding(7, 8)
        self.norm = layers.LayerNormalization(epsilon=1e-4)
        self.attention = layers.MultiHeadAttention(2, 4)
        self.up, self.down = layers.Dense(12), layers.Dense(3)

    def call(self, tokens):
        x = self.table(tokens)
        y = self.norm(x)
        x = x + self.attention(y, y)
        return self.down(ops.mean(ops.silu(self.up(x)), axis=1))


def lstm():
    inputs = keras.Input((5, 3))
    return keras.Model(inputs, layers.Dense(2)(layers.LSTM(4)(inputs)))


def dropout(rate=0.5, seed=None):
    inputs = keras.Input((6,))
    x = layers.Dropout(rate, seed=seed)(layers.Dense(8, activation="relu")(inputs))
    return keras.Model(inputs, layers.Dense(3)(x))


def partly_frozen():
    model = keras.Sequential([
        keras.Input((6,)),
        layers.Dense(8, activation="relu"),
        layers.Dense(3),
    ])  # fmt: skip
    model.layers[0].trainable = False
    return model


class Unseeded(layers.Layer):
    """Draws without a seed of its own, which Keras supports where no JAX compiles it."""

    def __init__(self):
        super().__init__()
        self.first, self.last = layers.Dense(8, activation="relu"), layers.Dense(3)

    def call(self, x, training=False):
        x = self.first(x)
        return self.last(keras.random.dropout(x, 0.5) if training else x)


def regularized():
    return keras.Sequential([keras.Input((6,)), layers.Dense(3, kernel_regularizer="l2")])


def active():
    return keras.Sequential([keras.Input((6,)), layers.Dense(3, activity_regularizer="l2")])


class Adding(keras.Model):
    """Adds to the loss in training."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x, training=False):
        y = self.dense(x)
        if training:
            self.add_loss(ops.sum(y))
        return y


def adding_within():
    inputs = keras.Input((6,))
    return keras.Model(inputs, Adding()(inputs))


class Plain(keras.Model):
    """With a layer that XLA cannot compile, or so it says."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3, name="slow")
        self.dense.supports_jit = False

    def call(self, x):
        return self.dense(x)


def frozen():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    model.trainable = False
    return model


def no_model():
    return 3


def two_outputs():
    inputs = keras.Input((6,))
    y = layers.Dense(3)(inputs)
    return keras.Model(inputs, [y, y])
