"""The transformer in Keras."""

import keras
from keras import layers, ops

LENGTH, VOCABULARY, WIDTH, HEADS = 12, 17, 16, 2


def make(faults=()):
    has = set(faults)
    epsilon = 1e-3 if "epsilon" in has else 1e-5
    tokens = keras.Input((LENGTH,), dtype="int32")
    x = layers.Embedding(VOCABULARY, WIDTH, name="tokens")(tokens)
    x = Places(name="places")(x)
    for block in range(2):
        rate = 0.2 if "dropout rate" in has else 0.1
        if "normalisation axis" in has and block == 0:
            y = layers.LayerNormalization(axis=1, epsilon=epsilon, scale=False, center=False)(x)
        else:
            y = layers.LayerNormalization(epsilon=epsilon, name=f"ln1_{block}")(x)
        y = Attention(has, name=f"attention_{block}")(y)
        x = x + layers.Dropout(rate)(y)
        y = layers.LayerNormalization(epsilon=epsilon, name=f"ln2_{block}")(x)
        y = layers.Dense(4 * WIDTH, name=f"up_{block}")(y)
        y = ops.relu(y) if "activation" in has else ops.gelu(y, approximate="GELU" in has)
        x = x + layers.Dropout(rate)(layers.Dense(WIDTH, name=f"down_{block}")(y))
    if "missing call" not in has:
        x = layers.LayerNormalization(epsilon=epsilon, name="ln")(x)
    return keras.Model(tokens, layers.Dense(VOCABULARY, use_bias="missing bias" in has, name="head")(x))


class Places(layers.Layer):
    def build(self, shape):
        self.table = layers.Embedding(LENGTH, WIDTH, name="table")

    def call(self, x):
        return x + self.table(ops.arange(LENGTH))


class Attention(layers.Layer):
    """Attention by hand, with the projections in one Dense as in the original."""

    def __init__(self, has, **options):
        super().__init__(**options)
        self.has = has
        self.qkv, self.out = layers.Dense(3 * WIDTH, name="qkv"), layers.Dense(WIDTH, name="out")

    def call(self, x):
        has = self.has
        shape = (-1, LENGTH, HEADS, WIDTH // HEADS)
        parts = ops.split(self.qkv(x), 3, -1)
        if "heads" in has:
            shape = (-1, LENGTH, WIDTH // HEADS, HEADS)
            q, k, v = (ops.transpose(ops.reshape(part, shape), (0, 3, 1, 2)) for part in parts)
        else:
            q, k, v = (ops.transpose(ops.reshape(part, shape), (0, 2, 1, 3)) for part in parts)
        scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2)))
        if "attention scale" not in has:
            scores = scores / (WIDTH // HEADS) ** 0.5
        if "mask" not in has:
            seen = ops.tril(ops.ones((LENGTH, LENGTH)), 1 if "mask off by one" in has else 0)
            scores = ops.where(seen > 0, scores, -1e30)
        weights = ops.softmax(scores, axis=-2 if "softmax axis" in has else -1)
        y = ops.transpose(ops.matmul(weights, v), (0, 2, 1, 3))
        return self.out(ops.reshape(y, (-1, LENGTH, WIDTH)))
