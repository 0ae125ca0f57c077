"""The residual network in Keras."""

import keras
from keras import layers, ops


def make(faults=()):
    has = set(faults)

    def bn(x, name):
        epsilon = 1e-3 if "epsilon" in has or ("one epsilon" in has and name == "b1_bn2") else 1e-5
        momentum = 0.1 if "momentum" in has else 0.9
        layer = layers.BatchNormalization(momentum=momentum, epsilon=epsilon, name=name)
        layer.trainable = not ("statistics" in has and name == "bn")
        return layer(x)

    def conv(x, filters, size, stride, name):
        if size == 3:
            x = layers.ZeroPadding2D(1)(x)
        return layers.Conv2D(filters, size, stride, use_bias=False, name=name)(x)

    def block(x, filters, stride, name):
        late = "stride" in has and stride != 1
        y = conv(x, filters, 3, 1 if late else stride, f"{name}_conv1")
        if "order" in has and name == "b0":
            y = bn(ops.relu(y), f"{name}_bn1")
        else:
            y = ops.relu(bn(y, f"{name}_bn1"))
        y = bn(conv(y, filters, 3, stride if late else 1, f"{name}_conv2"), f"{name}_bn2")
        if stride != 1:
            x = conv(x, filters, 1, stride, f"{name}_short")
            x = bn(x, f"{name}_short_bn")
        y = layers.Add()([y, x]) if "arithmetic" not in has else layers.Average()([y, x])
        return y if "missing call" in has and name == "b0" else ops.relu(y)

    inputs = keras.Input((16, 16, 3))
    x = ops.relu(bn(conv(inputs, 8, 3, 1, "stem"), "bn"))
    x = block(block(x, 8, 1, "b0"), 16, 2, "b1")
    x = ops.max(x, (1, 2)) if "pooling" in has else layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, name="head")(x))
