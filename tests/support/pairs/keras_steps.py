"""Steps in Keras, on any engine: small networks, and the changes of the table of pairs."""

import keras
import numpy as np
from keras import layers, ops
from together import together

TOKENS, WIDTH = 27, 32


class Split(layers.Dense):
    """A dense layer in several forms."""

    form = "dense"

    def call(self, x):
        kernel, bias = self.kernel, self.bias
        if self.form == "einsum":
            return self.activation(ops.einsum("...i,ij->...j", x, kernel) + bias)
        if self.form == "split":
            half = kernel.shape[1] // 2
            parts = ops.matmul(x, kernel[:, :half]), ops.matmul(x, kernel[:, half:])
            return self.activation(ops.concatenate(parts, -1) + bias)
        if self.form == "reverse":
            return self.activation(ops.matmul(ops.flip(x, -1), ops.flip(kernel, 0)) + bias)
        return super().call(x)


class Attention(layers.Layer):
    """Causal attention of four heads, in several forms."""

    def __init__(self, form):
        super().__init__()
        self.form = form
        self.qkv, self.out = layers.Dense(3 * WIDTH), layers.Dense(WIDTH)

    def build(self, shape):
        self.qkv.build(shape)
        self.out.build(shape)

    def call(self, x):
        if self.form == "q, k, v":
            parts = zip(ops.split(self.qkv.kernel, 3, 1), ops.split(self.qkv.bias, 3), strict=False)
            projected = [ops.matmul(x, kernel) + bias for kernel, bias in parts]
        else:
            projected = ops.split(self.qkv(x), 3, -1)
        q, k, v = (ops.reshape(each, (*x.shape[:2], 4, WIDTH // 4)) for each in projected)
        if self.form == "library":
            attended = ops.dot_product_attention(q, k, v, is_causal=True, flash_attention=False)
            return self.out(ops.reshape(attended, x.shape))
        q, k, v = (ops.transpose(each, (0, 2, 1, 3)) for each in (q, k, v))
        root = (WIDTH // 4) ** 0.5
        if self.form == "matmul":
            scores = ops.matmul(q / root, ops.transpose(k, (0, 1, 3, 2)))
        else:
            scores = ops.einsum("bhqd,bhkd->bhqk", q, k) / root
        mask = ops.tril(ops.ones((x.shape[1], x.shape[1]), "bool"))
        weights = ops.softmax(ops.where(mask, scores, ops.cast(-1e9, scores.dtype)))
        return self.out(ops.reshape(ops.transpose(ops.matmul(weights, v), (0, 2, 1, 3)), x.shape))


class RootMeanSquare(layers.Layer):
    """A normalisation in several forms, which computes in the type of its inputs."""

    def __init__(self, form, eps):
        super().__init__()
        self.form, self.eps = form, eps

    def build(self, shape):
        self.scale = self.add_weight(shape=shape[-1:], initializer="ones")

    def call(self, x):
        mean = ops.mean(x * x if self.form == "x*x" else ops.square(x), -1, keepdims=True) + self.eps
        return (x / ops.sqrt(mean) if self.form == "1/sqrt" else x * ops.rsqrt(mean)) * self.scale


def cnn(conv="conv", norm_eps=1e-3, norm_momentum=0.99, pool="layer", **_):
    x = inputs = keras.Input((16, 16, 3), batch_size=32)
    for name in ("first", "second"):
        if conv == "conv+bias":
            x = layers.Conv2D(16, 3, padding="same", use_bias=False, name=name)(x)
            x = Bias(name=f"{name}_bias")(x)
        else:
            x = layers.Conv2D(16, 3, padding="same", name=name)(x)
        x = layers.BatchNormalization(epsilon=norm_eps, momentum=norm_momentum)(x)
        x = layers.ReLU()(x)
    if pool == "mean":
        x = ops.mean(ops.reshape(x, (32, 4, 4, 4, 4, 16)), (2, 4))
    else:
        x = layers.AveragePooling2D(4)(x)
    return keras.Model(inputs, layers.Dense(10)(layers.Flatten()(x)))


class Bias(layers.Layer):
    """A bias as a layer of its own."""

    def build(self, shape):
        self.bias = self.add_weight(shape=shape[-1:], initializer="zeros", name="bias")

    def call(self, x):
        return x + self.bias


def mlp(form="dense", **_):
    made = [Split(128, "tanh"), Split(128, "relu"), Split(10)]
    for layer in made:
        layer.form = form
    return keras.Sequential([keras.Input((64,), batch_size=64), *made])


def block(attention="einsum", norm="rsqrt", dropout=0.1, norm_eps=1e-6, **_):
    inputs = keras.Input((24,), batch_size=8, dtype="int32")
    x = layers.Embedding(TOKENS, WIDTH)(inputs)
    attended = Attention(attention)(RootMeanSquare(norm, norm_eps)(x))
    x = x + layers.Dropout(dropout, seed=1)(attended)
    h = layers.Dense(4 * WIDTH, "gelu")(RootMeanSquare(norm, norm_eps)(x))
    x = x + layers.Dropout(dropout, seed=2)(layers.Dense(WIDTH)(h))
    return keras.Model(inputs, layers.Dense(TOKENS)(x))


def rnn(unroll=False, implementation=2, **_):
    kinds = {"unroll": unroll, "implementation": implementation, "recurrent_activation": "sigmoid"}
    return keras.Sequential([keras.Input((12, 12), batch_size=32), layers.GRU(32, **kinds), layers.Dense(10)])


NETWORKS = {"cnn": cnn, "mlp": mlp, "block": block, "rnn": rnn}
SHAPES = {"cnn": (32, 16, 16, 3), "mlp": (64, 64), "rnn": (32, 12, 12)}


def log_softmax_loss(wanted, logits):
    return -ops.sum(wanted * ops.log_softmax(logits, -1), -1)


def logsumexp_loss(wanted, logits):
    return ops.logsumexp(logits, -1) - ops.sum(wanted * logits, -1)


def make(
    net,
    jit=False,
    eager=False,
    loss="keras",
    smoothing=0.0,
    optimizer="adamw",
    decay=1e-2,
    eps=1e-7,
    beta=0.999,
    momentum=0.9,
    nesterov=False,
    clip=None,
    first=0,
    gain=1.0,
    order=1,
    **more,
):
    """Make a step of training a network with one of the changes of the table."""
    model = NETWORKS[net](**more)
    model.set_weights([each * np.asarray(gain, each.dtype) for each in model.get_weights()])
    schedule = keras.optimizers.schedules.InverseTimeDecay(1e-2, 1000, 1.0)
    if first:
        schedule = Later(schedule, first)
    if optimizer == "adamw":
        updates = keras.optimizers.AdamW(schedule, decay, 0.9, beta, eps, global_clipnorm=clip)
    else:
        updates = keras.optimizers.SGD(
            0.1, momentum, nesterov, weight_decay=decay, **({"clipnorm": clip} if clip else {})
        )
    losses = {"log_softmax": log_softmax_loss, "logsumexp": logsumexp_loss}
    objective = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    rows = np.random.default_rng(0)
    if net == "block":
        tokens = rows.integers(0, TOKENS, (8, 25)).astype("int32")
        x, y = tokens[:, :-1], np.eye(TOKENS, dtype="float32")[tokens[:, 1:]]
    else:
        x = rows.normal(size=SHAPES[net]).astype("float32")
        y = np.eye(10, dtype="float32")[rows.integers(0, 10, SHAPES[net][0])]
    if loss == "sparse":
        y, objective = y.argmax(-1), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    x, y = x[::order].copy(), y[::order].copy()
    model.compile(updates, losses.get(loss, objective), jit_compile=jit, run_eagerly=eager)

    def step():
        return {"loss": model.train_on_batch(x, y)}

    step.state = model.get_weights
    return step


class Later(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule, some steps ahead."""

    def __init__(self, schedule, first):
        self.schedule, self.first = schedule, first

    def __call__(self, step):
        return self.schedule(step + self.first)


make_steps = together(make, keras.utils.set_random_seed)
