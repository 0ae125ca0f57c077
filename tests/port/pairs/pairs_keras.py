"""The same models in Keras, as B of the pairs; ``fault`` names what was ported wrongly."""

import math

import keras
import numpy as np
from keras import layers, ops


class Net(keras.Model):
    """Named parts, and a function of them and the input; a shape is a raw array."""

    def __init__(self, run, **parts):
        super().__init__()
        for name, part in parts.items():
            made = (
                self.add_weight(shape=part, name=name, initializer="normal")
                if isinstance(part, tuple)
                else part
            )
            setattr(self, name, made)
        self.run = run

    def call(self, x):
        return self.run(self, x)


def dense(width, **options):
    return layers.Dense(width, **options)


def positions(length):
    return ops.arange(length)


# Dense layers.


def branches(fault=""):
    def run(net, x):
        left, right = ops.relu(net.left(x)), ops.tanh(net.right(x))
        parts = [right, left] if fault == "order" else [left, right]
        return net.head(ops.concatenate(parts, axis=-1))

    return Net(run, left=dense(5), right=dense(5), head=dense(3))


def swiglu(fault=""):
    def run(net, x):
        gate, value = ops.split(net.up(x), 2, axis=-1)
        if fault == "halves":
            gate, value = value, gate
        return net.head(x + net.down(ops.silu(gate) * value))

    return Net(run, up=dense(32), down=dense(8), head=dense(3))


def clipped(fault=""):
    return keras.Sequential([dense(8), layers.ReLU(None if fault == "no limit" else 6.0), dense(3)])


def gated_steps(fault=""):
    def run(net, x):
        value, gate = ops.split(net.conv(x), 2, axis=-1)
        if fault == "halves":
            gate, value = value, gate
        return net.head(value * ops.sigmoid(gate))

    return Net(run, conv=layers.Conv1D(12, 3, padding="same"), head=dense(3))


def squeeze(fault=""):
    def run(net, x):
        x = net.conv(x)
        share = net.expand(ops.relu(net.reduce(ops.mean(x, (1, 2)))))
        slope = 0.2 if fault == "slope" else 1 / 6
        share = ops.clip(share * slope + 0.5, 0, 1)
        return net.head(ops.mean(x * share[:, None, None], (1, 2)))

    return Net(run, conv=layers.Conv2D(8, 3), reduce=dense(4), expand=dense(8), head=dense(3))


def prenorm(fault=""):
    def run(net, x):
        if fault == "after":
            x = net.norm1(x + net.one(x))
            return net.head(net.norm2(x + net.two(x)))
        x = x + net.one(net.norm1(x))
        return net.head(x + net.two(net.norm2(x)))

    norms = {f"norm{n}": layers.LayerNormalization(epsilon=1e-6) for n in (1, 2)}
    return Net(run, one=dense(8), two=dense(8), head=dense(3), **norms)


def gemma_norm(fault=""):
    def run(net, x):
        root = ops.rsqrt(ops.mean(ops.square(x), -1, keepdims=True) + 1e-6)
        weight = net.weight if fault == "one missing" else 1 + net.weight
        return net.head(net.dense(x * root * weight))

    return Net(run, weight=(8,), dense=dense(8), head=dense(3))


def heads(fault=""):
    """Right although the second head is called first."""

    def run(net, x):
        h = ops.relu(net.body(x))
        end, start = net.end(h), net.start(h)
        if fault == "doubled":
            start = start + h[:, :4]
        return {"end": end, "start": start}

    return Net(run, body=dense(8), start=dense(4), end=dense(4))


def nested(fault=""):
    def run(net, x):
        h = ops.relu(net.body(x))
        c, b, a = net.c(h), net.b(h), net.a(h)
        a = ops.tanh(a) if fault == "tanh" else a
        return {"boxes": {"left": c}, "scores": [a, b]}

    return Net(run, body=dense(8), a=dense(4), b=dense(4), c=dense(4))


def two_faults(fault=""):
    def run(net, x):
        h = net.norm(net.dense(x))
        return net.head(ops.gelu(h, approximate=fault == "both"))

    norm = layers.LayerNormalization(epsilon=1e-3 if fault == "both" else 1e-5)
    return Net(run, dense=dense(8), norm=norm, head=dense(3))


# Sequences.


def scaled_embedding(fault=""):
    def run(net, x):
        h = net.tokens(x)
        h = h if fault == "scale missing" else h * math.sqrt(16)
        h = h + net.places(positions(x.shape[1]))
        return net.head(ops.relu(net.dense(h)))

    return Net(
        run, tokens=layers.Embedding(11, 16), places=layers.Embedding(8, 16), dense=dense(16), head=dense(3)
    )


def offset_positions(fault=""):
    def run(net, x):
        places = positions(x.shape[1]) + (0 if fault == "start" else 2)
        return net.head(ops.relu(net.dense(net.tokens(x) + net.places(places))))

    return Net(
        run, tokens=layers.Embedding(11, 16), places=layers.Embedding(10, 16), dense=dense(16), head=dense(3)
    )


def angles_of(numbers, fault):
    half = 7 if fault == "half - 1" else 8
    return numbers * np.exp(-math.log(10000.0) * np.arange(8) / half)


def sinusoids(fault=""):
    def run(net, x):
        angles = angles_of(np.arange(x.shape[1])[:, None], fault)
        parts = [np.sin(angles), np.cos(angles)]
        table = np.concatenate(parts[::-1] if fault == "halves" else parts, -1)
        if fault == "interleaved":
            table = np.stack(parts, -1).reshape(table.shape)
        h = net.tokens(x) + ops.convert_to_tensor(table, dtype=net.compute_dtype)
        return net.head(ops.relu(net.dense(h)))

    return Net(run, tokens=layers.Embedding(11, 16), dense=dense(16), head=dense(3))


def timestep(fault=""):
    def run(net, x):
        angles = angles_of(x[:, :1] * 100, fault)
        parts = [ops.cos(angles), ops.sin(angles)]
        return net.head(ops.silu(net.dense(ops.concatenate(parts[::-1] if fault == "halves" else parts, -1))))

    return Net(run, dense=dense(16), head=dense(3))


def split_heads(x, heads, fault=""):
    batch, length, width = x.shape
    if fault == "heads":
        return ops.transpose(ops.reshape(x, (batch, length, width // heads, heads)), (0, 3, 1, 2))
    return ops.transpose(ops.reshape(x, (batch, length, heads, width // heads)), (0, 2, 1, 3))


def merge_heads(x, fault=""):
    batch, heads, length, depth = x.shape
    if fault != "merge":
        x = ops.transpose(x, (0, 2, 1, 3))
    return ops.reshape(x, (batch, length, heads * depth))


def attend(q, k, v, mask=None, fault=""):
    scale = 1.0 if fault == "scale" else q.shape[-1] ** -0.5
    scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) * scale
    if mask is not None:
        scores = ops.where(mask, scores, -1e30)
    return ops.matmul(ops.softmax(scores, axis=-2 if fault == "softmax" else -1), v)


def packed(width=16, **more):
    return {
        "tokens": layers.Embedding(11, width),
        "qkv": dense(3 * width),
        "out": dense(width),
        "head": dense(3),
        **more,
    }


def causal(length):
    return np.tri(length, dtype=bool)


def attention(fault=""):
    def run(net, x):
        h = net.tokens(x)
        q, k, v = ops.split(net.qkv(h), 3, axis=-1)
        q, k, v = {"packing": (k, q, v), "values first": (v, q, k)}.get(fault, (q, k, v))
        if fault == "by head":
            parts = ops.split(ops.reshape(net.qkv(h), (*h.shape[:2], 4, 12)), 3, axis=-1)
            q, k, v = (ops.transpose(each, (0, 2, 1, 3)) for each in parts)
        else:
            q, k, v = (split_heads(each, 4, fault) for each in (q, k, v))
        mask = None if fault == "mask missing" else causal(x.shape[1])
        return net.head(h + net.out(merge_heads(attend(q, k, v, mask, fault), fault)))

    return Net(run, **packed())


def separate(fault=""):
    """A layer for each of query, key and value; query and value are called first."""

    def run(net, x):
        h = net.tokens(x)
        q, v, k = net.q(h), net.v(h), net.k(h)
        q, k, v = (split_heads(each, 4, fault) for each in (q, k, v))
        mask = None if fault == "mask missing" else causal(x.shape[1])
        return net.head(h + net.out(merge_heads(attend(q, k, v, mask, fault), fault)))

    parts = packed()
    del parts["qkv"]
    return Net(run, **{name: dense(16) for name in "qkv"}, **parts)


def window(fault=""):
    def run(net, x):
        h = net.tokens(x)
        q, k, v = (split_heads(each, 4) for each in ops.split(net.qkv(h), 3, axis=-1))
        far = np.subtract.outer(np.arange(x.shape[1]), np.arange(x.shape[1]))
        mask = (far >= 0) & (far <= 3 if fault == "off by one" else far < 3)
        return net.head(h + net.out(merge_heads(attend(q, k, v, mask))))

    return Net(run, **packed())


def rotated(x, cos, sin, fault):
    half = x.shape[-1] // 2
    if fault == "adjacent":
        even, odd = x[..., ::2], x[..., 1::2]
        return x * cos + ops.reshape(ops.stack([-odd, even], -1), x.shape) * sin
    first, second = x[..., :half], x[..., half:]
    return x * cos + ops.concatenate([second, -first] if fault == "sign" else [-second, first], -1) * sin


def rotary(fault=""):
    def run(net, x):
        h = net.tokens(x)
        q, k, v = (split_heads(each, 2) for each in ops.split(net.qkv(h), 3, axis=-1))
        frequencies = 1.0 / (1000 if fault == "base" else 10000) ** (np.arange(0, 8, 2) / 8)
        angles = np.arange(x.shape[1])[:, None] * frequencies
        angles = np.repeat(angles, 2, -1) if fault == "adjacent" else np.concatenate([angles, angles], -1)
        tables = [ops.convert_to_tensor(f(angles), dtype=h.dtype) for f in (np.cos, np.sin)]
        cos, sin = tables[::-1] if fault == "exchanged" else tables
        q, k = (rotated(each, cos, sin, fault) for each in (q, k))
        return net.head(h + net.out(merge_heads(attend(q, k, v))))

    return Net(run, **packed())


def buckets(length, fault, count=8, most=16):
    far = np.arange(length)[None] - np.arange(length)[:, None]
    far = -far if fault == "direction" else far
    count //= 2
    found = (far > 0) * count
    far, exact = np.abs(far), count // 2
    most = 32 if fault == "buckets" else most
    large = np.log(np.maximum(far, 1) / exact) / math.log(most / exact) * (count - exact)
    return found + np.where(far < exact, far, np.minimum(exact + large.astype(int), count - 1))


def t5(fault=""):
    def run(net, x):
        h = net.tokens(x)
        q, k, v = (split_heads(each, 4) for each in ops.split(net.qkv(h), 3, axis=-1))
        scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2)))
        scores = scores / 2 if fault == "scale" else scores
        table = net.bias(ops.convert_to_tensor(buckets(x.shape[1], fault)))
        scores = scores + ops.transpose(table, (2, 0, 1))
        return net.head(h + net.out(merge_heads(ops.matmul(ops.softmax(scores), v))))

    return Net(run, **packed(bias=layers.Embedding(8, 4)))


def tied(fault=""):
    def run(net, x):
        h = ops.relu(net.dense(net.tokens(x)))
        return net.head(h) if fault == "untied" else ops.matmul(h, ops.transpose(net.tokens.embeddings))

    more = {"head": dense(11, use_bias=False)} if fault == "untied" else {}
    return Net(run, tokens=layers.Embedding(11, 16), dense=dense(16), **more)


def both_ways(fault=""):
    def run(net, x):
        forward, backward = net.forward_gru(x), net.backward_gru(ops.flip(x, 1))
        axis = 2 if fault == "flip axis" else 1
        backward = backward if fault == "flip missing" else ops.flip(backward, axis)
        return net.head(ops.concatenate([forward, backward], -1))

    grus = {name: layers.GRU(5, return_sequences=True) for name in ("forward_gru", "backward_gru")}
    return Net(run, head=dense(3), **grus)


def last_state(fault=""):
    """The layer that :func:`cell` writes by hand."""
    activation = "sigmoid" if fault == "activation" else "tanh"
    return Net(
        lambda net, x: net.head(net.lstm(x)), lstm=layers.LSTM(5, activation=activation), head=dense(3)
    )


def recurrent():
    return Net(
        lambda net, x: net.head(net.lstm(x)), lstm=layers.LSTM(5, return_sequences=True), head=dense(3)
    )


def cell(fault=""):
    def run(net, x):
        h = c = ops.zeros((x.shape[0], 5), dtype=x.dtype)
        for step in range(x.shape[1]):
            gates = ops.matmul(x[:, step], net.kernel) + ops.matmul(h, net.recurrent) + net.bias
            i, f, g, o = ops.split(gates, 4, axis=-1)
            if fault == "gates":
                f, g = g, f
            c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
            h = ops.sigmoid(o) * ops.tanh(c)
        return net.head(h)

    return Net(run, kernel=(4, 20), recurrent=(5, 20), bias=(20,), head=dense(3))


# Pictures.


def picture_positions(fault=""):
    """The table is (1, H, W, C)."""

    def run(net, x):
        places = ops.transpose(net.places, (0, 2, 1, 3)) if fault == "transposed" else net.places
        return net.head(ops.mean(ops.relu(net.conv(x) + places), (1, 2)))

    return Net(run, conv=layers.Conv2D(6, 3, padding="same"), places=(1, 8, 8, 6), head=dense(3))


def pooled(fault=""):
    def run(net, x):
        border = 0.0 if fault == "zero" else -math.inf
        x = ops.pad(net.conv(x), ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=border)
        return net.head(ops.mean(ops.max_pool(x, 3, 2), (1, 2)))

    return Net(run, conv=layers.Conv2D(6, 3), head=dense(3))


def prelu(fault=""):
    """Without ``shared_axes`` there is a slope for each position, too."""

    def run(net, x):
        return net.head(ops.mean(net.prelu(net.conv(x)), (1, 2)))

    axes = {"rows": [1], "positions": None}.get(fault, [1, 2])
    return Net(run, conv=layers.Conv2D(6, 3), prelu=layers.PReLU(shared_axes=axes), head=dense(3))


def resized(mode="bilinear", size=12, antialias=False):
    def run(net, x):
        x = ops.image.resize(net.conv(x), (size, size), interpolation=mode, antialias=antialias)
        return net.head(ops.mean(ops.tanh(x), (1, 2)))

    return Net(run, conv=layers.Conv2D(6, 3, padding="same"), head=dense(3))


def shuffled_pixels(fault=""):
    def run(net, x):
        x = net.conv(x)
        batch, height, width, _ = x.shape
        shape, axes = ((4, 2, 2), (0, 1, 4, 2, 5, 3)) if fault == "" else ((2, 2, 4), (0, 1, 3, 2, 4, 5))
        x = ops.transpose(ops.reshape(x, (batch, height, width, *shape)), axes)
        return net.last(ops.relu(ops.reshape(x, (batch, 2 * height, 2 * width, 4))))

    return Net(run, conv=layers.Conv2D(16, 3, padding="same"), last=layers.Conv2D(3, 3))


def shuffled_channels(fault=""):
    def run(net, x):
        x = ops.relu(net.one(x))
        if fault != "missing":
            groups = (4, 2) if fault == "groups" else (2, 4)
            shape = x.shape
            x = ops.reshape(ops.swapaxes(ops.reshape(x, (*shape[:3], *groups)), 3, 4), shape)
        return net.head(ops.mean(net.two(x), (1, 2)))

    return Net(run, one=layers.Conv2D(8, 3), two=layers.Conv2D(8, 3, groups=2), head=dense(3))


def mirrored(fault=""):
    def run(net, x):
        axis = 1 if fault == "axis" else 2
        back = net.conv(ops.flip(x, axis))
        back = back if fault == "back missing" else ops.flip(back, axis)
        x = ops.transpose(net.conv(x) + back, (0, 3, 1, 2))
        return net.head(ops.reshape(x, (x.shape[0], -1)))

    return Net(run, conv=layers.Conv2D(4, 3), head=dense(3))


def upsampled(fault=""):
    def run(net, x):
        if fault == "not mirrored":
            return net.last(ops.relu(_dilated(net, x)))
        return net.last(ops.relu(_cut(net.up(x))))

    up = layers.Conv2DTranspose(6, 3, 2)
    up.build((None, 8, 8, 3))
    return Net(run, up=up, last=layers.Conv2D(3, 3))


def _cut(x):
    """Keras gives 2 n + 1 positions, PyTorch those from the second one on."""
    return x[:, 1:, 1:]


def _dilated(net, x):
    """A convolution over zeros between the pixels, with the kernel as it is."""
    batch, height, width, channels = x.shape
    x = ops.reshape(x, (batch, height, 1, width, 1, channels))
    x = ops.pad(x, ((0, 0), (0, 0), (0, 1), (0, 0), (0, 1), (0, 0)))
    x = ops.reshape(x, (batch, 2 * height, 2 * width, channels))
    x = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return ops.conv(x, ops.transpose(net.up.kernel, (0, 1, 3, 2)), 1, "valid") + net.up.bias


def grouped(fault=""):
    strides, groups = (4, 2) if fault == "exchanged" else (2, 4)
    conv = layers.Conv2D(8, 3, strides=strides, groups=groups)
    return Net(lambda net, x: net.head(ops.mean(ops.relu(net.conv(x)), (1, 2))), conv=conv, head=dense(3))


def flattened(fault=""):
    def run(net, x):
        x = ops.relu(net.conv(x))
        x = x if fault == "order" else ops.transpose(x, (0, 3, 1, 2))
        return net.head(ops.reshape(x, (x.shape[0], -1)))

    return Net(run, conv=layers.Conv2D(4, 3), head=dense(3))


def patches(fault=""):
    def run(net, x):
        x = net.patch(x)
        batch, height, width, channels = x.shape
        if fault == "reshape":
            x = ops.transpose(ops.reshape(x, (batch, channels, height * width)), (0, 2, 1))
        return net.head(ops.mean(net.norm(ops.reshape(x, (batch, height * width, channels))), 1))

    norm = layers.LayerNormalization(epsilon=1e-5)
    return Net(run, patch=layers.Conv2D(8, 4, 4), norm=norm, head=dense(3))


def mlp():
    return Net(lambda net, x: net.two(ops.tanh(net.one(x))), one=dense(8), two=dense(3))
