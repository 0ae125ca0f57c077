"""The same models in Keras, in another order or written otherwise; ``fault`` names the mistake."""

import math

import keras
from keras import layers, ops
from pairs_keras import Net


def attended(q, k, v, scale):
    return ops.matmul(ops.softmax(scale * ops.matmul(q, ops.transpose(k, (0, 2, 1)))), v)


def fourier(fault=""):
    """Random features that do not train, by a layer."""

    def run(net, x):
        angles = net.frequencies(x * (1.0 if fault == "turns" else 2 * math.pi))
        return net.head(ops.relu(net.inner(ops.concatenate([ops.sin(angles), ops.cos(angles)], -1))))

    frequencies = layers.Dense(6, use_bias=False, trainable=False)
    return Net(run, frequencies=frequencies, inner=layers.Dense(7), head=layers.Dense(2))


class Adapted(layers.Layer):
    """A frozen layer with an adapter."""

    def __init__(self, outputs, rank, factor):
        super().__init__()
        self.base = layers.Dense(outputs)
        self.base.trainable = False
        self.outputs, self.rank, self.factor = outputs, rank, factor

    def build(self, shape):
        self.base.build(shape)
        self.down = self.add_weight(shape=(shape[-1], self.rank), name="down")
        self.up = self.add_weight(shape=(self.rank, self.outputs), initializer="zeros", name="up")

    def call(self, x):
        return self.base(x) + self.factor * ops.matmul(ops.matmul(x, self.down), self.up)


def adapted_attention(fault=""):
    def run(net, x):
        h = net.norm(x)
        return net.head(x + attended(net.q(h), net.k(h), net.v(h), 8**-0.5))

    k = layers.Dense(8)
    k.trainable = False
    factor = 6.0 if fault == "scale" else 3.0
    parts = {"q": Adapted(8, 2, factor), "k": k, "v": Adapted(8, 2, factor)}
    return Net(run, norm=layers.LayerNormalization(epsilon=1e-5), head=layers.Dense(3), **parts)


def directions(fault=""):
    """Keras's own layer for both directions."""

    def run(net, x):
        return net.head(net.rnn(x))

    rnn = layers.Bidirectional(layers.LSTM(5), merge_mode="ave" if fault == "averaged" else "sum")
    return Net(run, rnn=rnn, head=layers.Dense(3))


def gated_filters(fault=""):
    """A layer for the filters, and one for their gates."""

    def run(net, x):
        for place in (0, 1):
            own, gate = (getattr(net, f"{name}_{place}")(x) for name in ("filter", "gate"))
            x = (x + ops.tanh(own) * ops.sigmoid(gate)) / (2 if fault == "half" else 2**0.5)
        return net.head(x)

    convolutions = {
        f"{name}_{place}": layers.Conv1D(6, 3, padding="causal", dilation_rate=2**place)
        for place in (0, 1)
        for name in ("filter", "gate")
    }
    return Net(run, **convolutions, head=layers.Dense(4))


def noisy(fault=""):
    class Noise(layers.Layer):
        def __init__(self):
            super().__init__()
            self.seeds = keras.random.SeedGenerator(1)

        def call(self, x, training=False):
            if training or fault == "evaluation":
                return x + 0.1 * keras.random.normal(ops.shape(x), seed=self.seeds)
            return x

    def run(net, x):
        return net.head(net.noise(ops.relu(net.inner(x))))

    return Net(run, inner=layers.Dense(8), noise=Noise(), head=layers.Dense(3))


def last_step(fault=""):
    """The norm of the last step alone."""

    def run(net, x):
        h = x + net.down(ops.gelu(net.up(net.before(x)), approximate=fault == "GELU"))
        return net.head(net.after(h[:, -1]))

    norms = {name: layers.LayerNormalization(epsilon=1e-5) for name in ("before", "after")}
    widths = {"up": 12, "down": 6, "head": 3}
    return Net(run, **norms, **{name: layers.Dense(n, use_bias=False) for name, n in widths.items()})
