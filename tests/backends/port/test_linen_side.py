"""Models of flax.linen as sides."""

import numpy as np
import pytest

pytest.importorskip("flax")

import jax.numpy as jnp
from flax import linen as nn
from support.jax_sides import checked, kinds_of, prepared, randomized

from harness.tracing import semantics as kinds
from harness.tracing.calls import InputShape
from harness.tracing.side import OwnTraining
from harness_jax import port

RNG = np.random.default_rng(0)
PICTURES, TOKENS = RNG.normal(size=(2, 9, 8, 4)), RNG.integers(0, 11, (2, 6))


@pytest.fixture(scope="module", autouse=True)
def _as_in_a_side(quick_xla):
    with prepared():
        yield


class Convolutional(nn.Module):
    @nn.compact
    def __call__(self, x, train: bool):
        x = nn.Conv(6, (3, 3), strides=2, dtype=jnp.float32)(x)
        x = nn.BatchNorm(use_running_average=not train)(x)
        x = nn.avg_pool(nn.leaky_relu(x), (2, 2), (2, 2))
        x = nn.Dropout(0.5, deterministic=not train)(x.reshape((len(x), -1)))
        return {"logits": nn.Dense(3)(x)}


class Transformer(nn.Module):
    def setup(self):
        self.table = nn.Embed(11, 8)
        self.attention = nn.MultiHeadDotProductAttention(2, dropout_rate=0.5)
        self.other = nn.MultiHeadDotProductAttention(2)
        self.norm = nn.LayerNorm()
        self.cell = nn.RNN(nn.GRUCell(8))

    def __call__(self, tokens, deterministic=True):
        x = self.table(tokens)
        mask = nn.make_causal_mask(tokens)
        x = self.norm(x + self.attention(x, mask=mask, deterministic=deterministic))
        return self.table.attend(self.cell(self.other(x, x)))


def side_of(module, shape):
    assert port.claims(module)
    return randomized(port.make_side(module, [shape], OwnTraining()))


@pytest.mark.parametrize("training", [False, True])
def test_convolutional_network(training):
    side = side_of(Convolutional(), InputShape((9, 8, 4)))
    before = side.parameters()
    trace = checked(side, PICTURES, training=training)
    assert kinds_of(trace) == [
        "Convolution",
        "BatchNormalization",
        "Activation",
        "Pooling",
        "Reshape",
        "Dropout",
        "Linear",
    ]
    assert [call.path for call in trace.calls if call.path] == [
        "Conv_0",
        "BatchNorm_0",
        "Dropout_0",
        "Dense_0",
    ]
    assert trace.calls[5].does == kinds.Dropout(rate=0.5, active=training)
    assert trace.calls[0].parameters["kernel"].name == "params/Conv_0/kernel"
    names = {"batch_stats/BatchNorm_0/mean", "batch_stats/BatchNorm_0/var"}
    assert set(trace.state_after) == (names if training else set())
    assert side.trained() == set(before) - names
    assert all((array == before[name]).all() for name, array in side.parameters().items())


@pytest.mark.long
def test_transformer_and_recurrent_layer():
    side = side_of(Transformer(), InputShape((6,), integer=True, maximum=11))
    trace = checked(side, TOKENS, training=True)
    attended = {call.path: call.does for call in trace.calls if isinstance(call.does, kinds.Attention)}
    assert attended == {
        "attention": kinds.Attention(scale=0.5, causal_offset=0, heads_axis=2),
        "other": kinds.Attention(scale=0.5, heads_axis=2),
    }
    assert kinds.Dropout(rate=0.5, active=True) in [call.does for call in trace.calls]
    assert {stored.name for call in trace.calls for stored in call.parameters.values()} == set(
        side.parameters()
    )


def test_gradients_and_training_use_the_collections():
    side = side_of(Convolutional(), InputShape((9, 8, 4)))
    gradients = side.gradients([PICTURES], np.array([0, 2]), "cross-entropy")
    assert set(gradients.parameters) == side.trained()
    trained = side.train([([PICTURES], np.array([0, 2]))] * 2, "cross-entropy")
    assert abs(trained.losses[0] - gradients.loss) < 1e-12
    moved = side.parameters()["params/Dense_0/bias"] - 0.01 * gradients.parameters["params/Dense_0/bias"]
    once = side.train([([PICTURES], np.array([0, 2]))], "cross-entropy")
    assert np.abs(once.parameters["params/Dense_0/bias"] - moved).max() < 1e-14
    assert set(once.parameters) == set(side.parameters())
