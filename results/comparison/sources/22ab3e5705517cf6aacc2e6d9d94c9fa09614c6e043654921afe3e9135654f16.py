"""The CNN in Keras; `faults` names what is planted."""

import keras
from keras import layers, ops


def make(faults=()):
    has = set(faults)
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(
        8,
        3,
        padding="same",
        dilation_rate=2 if "dilation" in has else 1,
        use_bias="missing bias" not in has,
        name="first",
    )(x)
    if "flipped kernel" in has:
        x = Flipped(8, name="flipped")(inputs)
    if "activation" in has:
        x = ops.elu(x)
    elif "missing call" not in has:
        x = ops.relu(x)
    x = layers.AveragePooling2D(2)(x) if "pooling" in has else layers.MaxPooling2D(2)(x)
    if "padding" in has:
        x = layers.Conv2D(12, 3, strides=2, padding="same", name="second")(x)
    else:
        x = layers.Conv2D(12, 3, strides=2, name="second")(layers.ZeroPadding2D(1)(x))
    x = layers.LeakyReLU(**({} if "slope" in has else {"negative_slope": 0.1}))(x)
    if "counted padding" in has:
        x = layers.AveragePooling2D(3, 1)(layers.ZeroPadding2D(1)(x))
    else:
        x = layers.AveragePooling2D(3, 1, padding="same")(x)
    if "flatten order" not in has:
        x = layers.Permute((3, 1, 2))(x)
    x = layers.Dense(32, name="hidden")(layers.Flatten()(x))
    x = ops.gelu(x, approximate="GELU" in has)
    dropout = layers.Dropout(0.5 if "dropout rate" in has else 0.25)
    x = Always(dropout, name="dropout_always")(x) if "dropout" in has else dropout(x)
    x = layers.Dense(10, name="last")(x)
    return keras.Model(inputs, ops.tanh(x) if "extra call" in has else x)


class Always(layers.Layer):
    """Dropout that nobody can switch off."""

    def __init__(self, dropout, **options):
        super().__init__(**options)
        self.dropout = dropout

    def call(self, x):
        return self.dropout(x, training=True)


class Flipped(layers.Layer):
    """A true convolution: the kernel is turned round."""

    def __init__(self, filters, **options):
        super().__init__(**options)
        self.filters = filters

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], self.filters), name="kernel")
        self.bias = self.add_weight(shape=(self.filters,), name="bias", initializer="zeros")

    def call(self, x):
        return ops.conv(x, ops.flip(self.kernel, (0, 1)), padding="same") + self.bias
