"""Traces a model with each layer of Keras and prints what NumPy's formulas say of every call, as JSON.

Run in a process of its own, since a side makes Keras compute in float64 for good.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers as L  # noqa: N812
from keras import ops
from support.formulas import problem_of

from harness.tracing import semantics as kinds
from harness.tracing.calls import InputShape
from harness.tracing.side import OwnTraining
from harness_keras import port

port.prepare()
RNG = np.random.default_rng(0)
PICTURE, SEQUENCE, VECTOR = (9, 8, 6), (7, 6), (6,)


def single(*layers):
    return lambda shape: keras.Sequential([keras.Input(shape), *[layer() for layer in layers]])


def attention(causal=False, **options):
    def build(shape):
        x = keras.Input(shape)
        return keras.Model(x, L.MultiHeadAttention(2, 3, **options)(x, x, use_causal_mask=causal))

    return build


def cross_attention(shape):
    x = keras.Input(shape)
    y = L.MultiHeadAttention(2, 3, value_dim=5)(x, x[:, :4] * 0.5, x[:, :4])
    return keras.Model(x, y)


def merged(layer):
    def build(shape):
        x = keras.Input(shape)
        return keras.Model(x, layer()([x, L.Dense(shape[-1])(x)]))

    return build


def functional(function):
    def build(shape):
        x = keras.Input(shape)
        return keras.Model(x, function(x))

    return build


def frozen(shape):
    layer = L.BatchNormalization()
    layer.trainable = False
    return keras.Sequential([keras.Input(shape), layer])


class Subclassed(keras.Model):
    """Operators on tensors, a parameter of its own, and functions of ``keras.ops``."""

    def __init__(self):
        super().__init__()
        self.dense, self.head = L.Dense(6), L.Dense(4, use_bias=False)
        self.scale = self.add_weight(shape=(6,), initializer="ones", name="scale")
        self.kernel = self.add_weight(shape=(6, 5), initializer="glorot_uniform", name="kernel")

    def call(self, x, training=None):
        y = ops.relu(self.dense(x)) * self.scale + x / 2 - 1.0
        y = y @ self.kernel
        y = ops.concatenate([y, 2 * x[..., :3]], axis=-1)
        return {"logits": self.head(y[:, 1:7, ::2]), "rest": ops.mean(y, axis=-1)}


ACTIVATIONS = (
    "relu", "relu6", "leaky_relu", "elu", "selu", "softplus", "softsign", "silu", "gelu", "celu", "tanh",
    "sigmoid", "exponential", "hard_sigmoid", "hard_silu", "mish", "softmax", "log_softmax",
)  # fmt: skip

CASES = {
    "dense": (single(lambda: L.Dense(4)), VECTOR),
    "dense of a sequence": (single(lambda: L.Dense(4, activation="relu")), SEQUENCE),
    "einsum dense": (single(lambda: L.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de")), SEQUENCE),
    "einsum dense back": (
        single(
            lambda: L.Reshape((7, 2, 3)), lambda: L.EinsumDense("abcd,cde->abe", (None, 4), bias_axes="e")
        ),
        SEQUENCE,
    ),
    "conv1d causal": (single(lambda: L.Conv1D(4, 3, padding="causal", dilation_rate=2)), SEQUENCE),
    "conv1d same": (single(lambda: L.Conv1D(4, 4, padding="same", strides=2)), SEQUENCE),
    "conv2d same": (single(lambda: L.Conv2D(4, 3, padding="same", strides=2, activation="gelu")), PICTURE),
    "conv2d groups": (single(lambda: L.Conv2D(4, (3, 2), groups=2, dilation_rate=2)), PICTURE),
    "conv2d even": (single(lambda: L.Conv2D(4, 4, padding="same")), PICTURE),
    "conv3d": (single(lambda: L.Conv3D(4, 3, padding="same", strides=2)), (5, 4, 6, 2)),
    "conv1d transposed": (single(lambda: L.Conv1DTranspose(4, 3, strides=2, padding="same")), SEQUENCE),
    "conv2d transposed same": (single(lambda: L.Conv2DTranspose(4, 3, strides=2, padding="same")), PICTURE),
    "conv2d transposed valid": (single(lambda: L.Conv2DTranspose(4, 4, strides=3)), PICTURE),
    "conv2d transposed small": (single(lambda: L.Conv2DTranspose(4, 2, strides=3, padding="same")), PICTURE),
    "depthwise": (
        single(lambda: L.DepthwiseConv2D(3, depth_multiplier=2, strides=2, padding="same")),
        PICTURE,
    ),
    "depthwise 1d": (single(lambda: L.DepthwiseConv1D(3, padding="same")), SEQUENCE),
    "separable": (single(lambda: L.SeparableConv2D(4, 3, strides=2, padding="same")), PICTURE),
    "separable 1d": (single(lambda: L.SeparableConv1D(4, 3)), SEQUENCE),
    "batch normalization": (single(lambda: L.BatchNormalization(momentum=0.9)), PICTURE),
    "batch normalization of vectors": (single(lambda: L.BatchNormalization(scale=False)), VECTOR),
    "batch normalization frozen": (frozen, PICTURE),
    "layer normalization": (single(L.LayerNormalization), SEQUENCE),
    "layer normalization of axes": (
        single(lambda: L.LayerNormalization(axis=(1, 2), epsilon=1e-5)),
        SEQUENCE,
    ),
    "layer normalization first axis": (single(lambda: L.LayerNormalization(axis=1)), SEQUENCE),
    "group normalization": (single(lambda: L.GroupNormalization(3)), PICTURE),
    "unit normalization": (single(L.UnitNormalization), SEQUENCE),
    "embedding": (single(lambda: L.Embedding(20, 5)), (7,)),
    "rnn": (single(lambda: L.SimpleRNN(4)), SEQUENCE),
    "gru": (single(lambda: L.GRU(4, return_sequences=True)), SEQUENCE),
    "gru before": (single(lambda: L.GRU(4, reset_after=False)), SEQUENCE),
    "gru backwards": (single(lambda: L.GRU(4, go_backwards=True, return_sequences=True)), SEQUENCE),
    "lstm": (single(lambda: L.LSTM(4, return_sequences=True, dropout=0.3)), SEQUENCE),
    "lstm without bias": (single(lambda: L.LSTM(4, use_bias=False)), SEQUENCE),
    "lstm both ways": (single(lambda: L.Bidirectional(L.LSTM(4, return_sequences=True))), SEQUENCE),
    "gru both ways": (single(lambda: L.Bidirectional(L.GRU(4))), SEQUENCE),
    "cell": (single(lambda: L.RNN(L.LSTMCell(3), return_sequences=True)), SEQUENCE),
    "time distributed": (single(lambda: L.TimeDistributed(L.Conv1D(3, 2))), (4, 5, 3)),
    "time distributed dense": (single(lambda: L.TimeDistributed(L.Dense(3))), SEQUENCE),
    "attention": (attention(), SEQUENCE),
    "attention causal": (attention(causal=True), SEQUENCE),
    "attention without bias": (attention(use_bias=False, dropout=0.2), SEQUENCE),
    "attention of others": (cross_attention, SEQUENCE),
    "dot attention": (merged(L.Attention), SEQUENCE),
    "leaky relu": (single(L.LeakyReLU), SEQUENCE),
    "relu six": (single(lambda: L.ReLU(max_value=6.0)), SEQUENCE),
    "elu": (single(lambda: L.ELU(alpha=0.7)), SEQUENCE),
    "prelu": (single(lambda: L.PReLU(shared_axes=[1])), SEQUENCE),
    "softmax over time": (single(lambda: L.Softmax(axis=1)), SEQUENCE),
    "max pooling": (single(lambda: L.MaxPooling2D(3, strides=2, padding="same")), PICTURE),
    "average pooling": (single(lambda: L.AveragePooling2D(2)), PICTURE),
    "average pooling same": (single(lambda: L.AveragePooling2D(3, strides=2, padding="same")), (9, 9, 6)),
    "pooling 1d": (single(lambda: L.MaxPooling1D(2), lambda: L.AveragePooling1D(2)), SEQUENCE),
    "pooling 3d": (single(lambda: L.AveragePooling3D(2)), (5, 4, 6, 2)),
    "global pooling": (merged(lambda: L.Lambda(lambda x: L.GlobalAveragePooling2D()(x[0]))), PICTURE),
    "global max pooling": (single(lambda: L.GlobalMaxPooling2D(keepdims=True)), PICTURE),
    "shapes": (single(L.Flatten, lambda: L.Reshape((8, 9, 6)), lambda: L.Permute((3, 1, 2))), PICTURE),
    "repeated": (single(lambda: L.RepeatVector(3)), VECTOR),
    "zero padding": (single(lambda: L.ZeroPadding2D(((1, 2), (0, 3)))), PICTURE),
    "cropping": (single(lambda: L.Cropping2D(((1, 2), (0, 3)))), PICTURE),
    "up-sampling": (single(lambda: L.UpSampling2D(2)), PICTURE),
    "up-sampling bilinear": (single(lambda: L.UpSampling2D(2, interpolation="bilinear")), PICTURE),
    "resizing": (single(lambda: L.Resizing(5, 13)), PICTURE),
    "rescaling": (single(lambda: L.Rescaling(1 / 127.5, offset=-1)), PICTURE),
    "normalization": (single(lambda: L.Normalization(mean=[0.1] * 6, variance=[2.0] * 6)), PICTURE),
    "dropout": (single(lambda: L.Dropout(0.5), lambda: L.GaussianNoise(1.0), L.RandomFlip), PICTURE),
    "lambda": (single(lambda: L.Lambda(lambda x: ops.sin(x)[:, 1:] * 2 + x[:, :-1])), SEQUENCE),
    "functions": (
        functional(
            lambda x: ops.clip(ops.swapaxes(ops.stack(ops.split(x, 2, axis=-1), axis=1), 1, 2), -1, 0.5)
        ),
        SEQUENCE,
    ),
    "subclassed": (lambda _: Subclassed(), SEQUENCE),
    **{
        f"merge {name}": (merged(getattr(L, name)), SEQUENCE)
        for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")
    },
    "dot": (merged(lambda: L.Dot(axes=2)), SEQUENCE),
    **{
        f"activation {name}": (single(lambda name=name: L.Dense(6, activation=name)), SEQUENCE)
        for name in ACTIVATIONS
    },
}
CASES["float32 constants"] = (functional(lambda x: _with_constants(L.Dense(6)(x))), SEQUENCE)
if hasattr(L, "RMSNormalization"):
    CASES["root mean square"] = (single(lambda: L.RMSNormalization(epsilon=1e-5)), SEQUENCE)
if hasattr(L, "ReversibleEmbedding"):
    CASES["tied embedding"] = (functional(lambda x: _tied(L.ReversibleEmbedding(20, 5), x)), (7,))
#: Functions that no kind of call describes.
OPAQUE = {"keras.ops.repeat"}


@keras.saving.register_keras_serializable()
class Constants(keras.Layer):
    """Adds constants that would be float32, as code that is float32 everywhere else may."""

    def call(self, x):
        x = x * ops.ones((6,), "float32") + ops.arange(6, dtype="float32")
        x = x + ops.convert_to_tensor([0.1] * 6) + ops.convert_to_tensor(np.full(6, 0.1, np.float32))
        x = x + ops.one_hot(3, 6, dtype="float32") + ops.full((6,), 0.1, dtype="float32")
        if keras.config.backend() != "tensorflow":
            return x
        import tensorflow as tf

        x = x * tf.constant(0.1) + tf.range(6, dtype=tf.float32) + tf.zeros((6,)) + tf.ones((6,))
        return x + tf.linspace(0.0, 1.0, 6) + tf.fill((6,), 0.3) + tf.eye(6)[0] + tf.one_hot(2, 6)


def _with_constants(x):
    return Constants()(x)


def schedule_problems():
    """Schedules of the learning rate that do not compute in float64, or at all."""
    schedules = keras.optimizers.schedules
    made = [
        schedules.ExponentialDecay(0.1, 10, 0.9),
        schedules.PolynomialDecay(0.1, 10),
        schedules.PiecewiseConstantDecay([2, 4], [0.1, 0.2, 0.3]),
        schedules.InverseTimeDecay(0.1, 10, 0.5),
        schedules.CosineDecay(0.1, 10, warmup_steps=3, warmup_target=0.2),
        schedules.CosineDecayRestarts(0.1, 10),
    ]
    rates = [(type(each).__name__, each(keras.Variable(5, dtype="int64"))) for each in made]
    return [name for name, rate in rates if keras.backend.standardize_dtype(rate.dtype) != "float64"]


def _tied(layer, x):
    return layer(layer(x), reverse=True)


def check(name):
    """Problems with a case: calls that NumPy does not confirm, and opaque ones."""
    build, shape = CASES[name]
    integer = "embedding" in name
    side = port.make_side(build(shape), [InputShape(shape, integer, 20)], OwnTraining())
    side.load({key: np.abs(RNG.normal(1, 0.3, array.shape)) for key, array in side.parameters().items()})
    x = RNG.integers(0, 20, (3, *shape)) if integer else RNG.normal(size=(3, *shape))
    problems = []
    for training in (False, True):
        trace = side.trace([x], training=training)
        calls = [call for call in trace.calls if not _is_known_to_be_opaque(call)]
        problems += [problem for call in calls if (problem := problem_of(trace, call))]
        names = [value.name for value in trace.values if value.source == "parameter"]
        if len(names) != len(set(names)):
            problems.append("a parameter is recorded twice")
        ends = {trace.values[place].source for place in trace.outputs}
        if ends != {"call"}:
            problems.append(f"the outputs are {ends}")
        problems += overridden(side, x, training, trace)
    return problems


def _is_known_to_be_opaque(call):
    return isinstance(call.does, kinds.Opaque) and call.function in OPAQUE


def overridden(side, x, training, trace):
    from harness.tracing.side import Override

    last = len(trace.calls) // 2
    place = trace.calls[last].outputs[0]
    array = trace.values[place].array + 1
    changed = side.trace([x], training=training, overrides=[Override(last, 0, array)])
    if len(changed.calls) != len(trace.calls):
        return ["an override changes the number of calls"]
    if not np.array_equal(changed.values[changed.calls[last].outputs[0]].array, array):
        return ["an override is not seen"]
    wrong = [
        problem_of(changed, call) for call in changed.calls[last + 1 :] if not _is_known_to_be_opaque(call)
    ]
    return [f"after an override: {problem}" for problem in wrong if problem]


if __name__ == "__main__":
    found = {}
    for case in [each for each in sys.argv[1:] if each in CASES] or CASES:
        try:
            found[case] = check(case)
        except Exception as error:  # noqa: BLE001 - a result, too
            import traceback

            found[case] = [f"{type(error).__name__}: {error}", traceback.format_exc()[-1500:]]
    if "schedules" in sys.argv or not sys.argv[1:]:
        found["schedules"] = schedule_problems()
    print(json.dumps({case: problems for case, problems in found.items() if problems}))
