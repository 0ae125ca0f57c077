"""The same models in Keras; ``fault`` names the mistake."""

import keras
from keras import layers, ops
from pairs_keras import Net


class Cell(layers.Layer):
    """A cell of named parts with one state, and a function of them, the input and the state."""

    def __init__(self, units, step, **parts):
        super().__init__()
        self.state_size = self.output_size = units
        self.step = step
        for name, part in parts.items():
            setattr(self, name, part)

    def call(self, inputs, states):
        h = self.step(self, inputs, states[0])
        return h, [h]


def minimal_gate(fault=""):
    def step(cell, x, h):
        f = ops.sigmoid(cell.w_f(ops.concatenate([h, x], -1)))
        new = ops.tanh(cell.w_h(ops.concatenate([h if fault == "ungated" else f * h, x], -1)))
        return f * h + (1 - f) * new if fault == "exchanged" else (1 - f) * h + f * new

    cell = Cell(5, step, w_f=layers.Dense(5), w_h=layers.Dense(5))
    return keras.Sequential([layers.RNN(cell), layers.Dense(2)])


def normal_gru(fault=""):
    def step(cell, x, h):
        x_r, x_z, x_n = ops.split(cell.norm_x(cell.of_x(x)), 3, -1)
        h_r, h_z, h_n = ops.split(cell.norm_h(cell.of_h(h)), 3, -1)
        r, z = ops.sigmoid(x_r + h_r), ops.sigmoid(x_z + h_z)
        if fault == "gates":
            r, z = z, r
        return z * h + (1 - z) * ops.tanh(x_n + r * h_n)

    parts = {name: layers.Dense(15, use_bias=False) for name in ("of_x", "of_h")}
    epsilon = 1e-3 if fault == "epsilon" else 1e-5
    norms = {name: layers.LayerNormalization(epsilon=epsilon) for name in ("norm_x", "norm_h")}
    return keras.Sequential(
        [layers.RNN(Cell(5, step, **parts, **norms), return_sequences=True), layers.Dense(2)]
    )


def leaky(fault=""):
    leak = 0.7 if fault == "leak" else 0.3

    def step(cell, x, h):
        inside = cell.drive(x) + cell.echo(h)
        return (1 - leak) * h + leak * (ops.relu(inside) if fault == "activation" else ops.tanh(inside))

    def run(net, x):
        return net.head(ops.concatenate([x, net.rnn(x)], -1))

    cell = Cell(6, step, drive=layers.Dense(6), echo=layers.Dense(6, use_bias=False))
    return Net(run, rnn=layers.RNN(cell, return_sequences=True), head=layers.Dense(2))


def coverage(fault=""):
    """A Python loop around a known cell."""

    def run(net, x):
        keys, h = net.key(x), ops.tanh(net.start(ops.mean(x, 1)))
        seen, outs = ops.zeros(ops.shape(x)[:2], x.dtype), []
        for _ in range(3):
            before = 0.0 if fault == "forgotten" else ops.expand_dims(seen, -1) * net.again
            scores = net.score(ops.tanh(keys + ops.expand_dims(net.query(h), 1) + before))
            shares = ops.softmax(ops.squeeze(scores, -1), -1)
            seen = ops.maximum(seen, shares) if fault == "largest" else seen + shares
            context = ops.sum(ops.expand_dims(shares, -1) * x, 1)
            h, _ = net.cell(context, [h])
            outs.append(net.head(ops.concatenate([h, context], -1)))
        return ops.stack(outs, 1)

    parts = {
        "key": layers.Dense(6),
        "start": layers.Dense(5),
        "cell": layers.GRUCell(5),
        "head": layers.Dense(2),
    }
    parts |= {"query": layers.Dense(6, use_bias=False), "score": layers.Dense(1, use_bias=False)}
    return Net(run, again=(6,), **parts)


def dilated(fault=""):
    def run(net, x):
        y, total = net.into(x), 0.0
        for conv, mix in zip(net.convs, net.mixes, strict=True):
            made = ops.tanh(conv(y))
            total = total + made
            y = y + mix(made)
        return net.head(total if fault == "linear" else ops.relu(total))

    padding = "same" if fault == "centred" else "causal"
    rates = (1, 2, 2) if fault == "rate" else (1, 2, 4)
    convs = [layers.Conv1D(4, 3, padding=padding, dilation_rate=rate) for rate in rates]
    mixes = [layers.Conv1D(4, 1) for _ in range(3)]
    return Net(run, into=layers.Conv1D(4, 1), convs=convs, mixes=mixes, head=layers.Dense(2))


def equilibrium(fault=""):
    """A loop of Keras that ends by a counter."""

    def run(net, x):
        u = net.into(x)

        def step(n, z):
            inner = net.back(z) + u
            new = net.norm(ops.tanh(inner)) if fault == "order" else ops.tanh(net.norm(inner))
            return n + 1, 0.5 * z + 0.5 * new

        count = 5 if fault == "count" else 6
        start = ops.zeros((ops.shape(x)[0], 5), x.dtype)
        _, z = ops.while_loop(lambda n, _: n < count, step, (0, start))
        return net.head(z)

    norm = layers.LayerNormalization(epsilon=1e-5)
    return Net(
        run, into=layers.Dense(5), back=layers.Dense(5, use_bias=False), norm=norm, head=layers.Dense(2)
    )


def fused_gru(fault=""):
    gru = layers.GRU(5, return_sequences=True, reset_after=fault != "reset first")
    return keras.Sequential([gru, layers.Dense(2)])


def fused_lstm(fault=""):
    """The cells of Keras in one layer."""
    gate = "hard_sigmoid" if fault == "hard" else "sigmoid"
    cells = [layers.LSTMCell(5, recurrent_activation=gate) for _ in range(2)]
    return keras.Sequential([layers.RNN(cells), layers.Dense(2)])


def cell_loop(fault=""):
    rnn = layers.RNN(layers.LSTMCell(5), go_backwards=fault != "forwards")
    return keras.Sequential([rnn, layers.Dense(2)])
