"""The same models in Keras; ``fault`` names the mistake."""

import keras
import numpy as np
from keras import layers, ops
from pairs_keras import Net


def lstm_loop(fault=""):
    def run(net, x):
        x = ops.flip(x, 1) if fault == "reversed" else x
        return net.head(net.rnn(x))

    return Net(run, rnn=layers.LSTM(5), head=layers.Dense(3))


def adapters(fault=""):
    """The adapters are raw arrays."""

    def run(net, x):
        for n in (1, 2):
            low = ops.matmul(ops.matmul(x, getattr(net, f"a{n}")), getattr(net, f"b{n}"))
            x = ops.relu(getattr(net, f"base{n}")(x) + low * (8.0 if fault == "scale" else 4.0))
        return net.head(x)

    raw = {name: shape for n in (1, 2) for name, shape in ((f"a{n}", (6, 2)), (f"b{n}", (2, 6)))}
    bases = {f"base{n}": Base(6) for n in (1, 2)}
    return Net(run, head=layers.Dense(3), **bases, **raw)


class Base(layers.Dense):
    """A layer of which only the bias trains."""

    def build(self, shape):
        super().build(shape)
        self._kernel.trainable = False


def fixed_positions(fault=""):
    """A weight that does not train."""

    def run(net, x):
        return net.head(ops.tanh(net.dense(x) + net.table))

    net = Net(run, dense=layers.Dense(8), head=layers.Dense(3))
    steps = np.arange(6) + (1 if fault == "start" else 0)
    angles = steps[:, None] / (1000 if fault == "base" else 10000) ** (np.arange(4) / 4)
    table = np.concatenate([np.sin(angles), np.cos(angles)], -1)
    net.table = net.add_weight(
        shape=table.shape, initializer=keras.initializers.Constant(table), trainable=False, name="table"
    )
    return net


def packed_heads(fault=""):
    """Keras's own layer, without biases."""

    def run(net, x):
        return net.head(net.attention(x, x, x))

    attention = layers.MultiHeadAttention(
        1 if fault == "heads" else 2, 8 if fault == "heads" else 4, use_bias=False
    )
    return Net(run, attention=attention, head=layers.Dense(3))
