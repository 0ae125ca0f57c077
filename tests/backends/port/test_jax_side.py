"""Models of flax.nnx as sides: what is recorded, and that it is what happens."""

import numpy as np
import pytest

pytest.importorskip("flax")

import jax
import jax.numpy as jnp
from flax import nnx
from support.jax_sides import checked, prepared, randomized, side_of

RNG = np.random.default_rng(0)
PICTURES, SEQUENCES, TOKENS = (
    RNG.normal(size=(2, 9, 8, 4)),
    RNG.normal(size=(2, 5, 8)),
    RNG.integers(0, 7, (2, 5)),
)


@pytest.fixture(scope="module", autouse=True)
def _as_in_a_side():
    with prepared():
        yield


class Wrapped(nnx.Module):
    def __init__(self, layer, call=None):
        self.layer = layer
        self.call = call or (lambda layer, *inputs: layer(*inputs))

    def __call__(self, *inputs):
        return self.call(self.layer, *inputs)


def of(layer, call=None):
    return randomized(side_of(Wrapped(layer, call)))


def rngs():
    return nnx.Rngs(0)


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (lambda: nnx.Linear(8, 3, rngs=rngs()), SEQUENCES),
        (lambda: nnx.LinearGeneral((5, 8), (3, 2), axis=(1, 2), rngs=rngs()), SEQUENCES),
        (lambda: nnx.Conv(4, 6, (3, 3), rngs=rngs()), PICTURES),
        (lambda: nnx.Conv(4, 6, (3, 2), 2, padding="VALID", kernel_dilation=2, rngs=rngs()), PICTURES),
        (
            lambda: nnx.Conv(4, 6, (3, 3), padding=((2, 1), (0, 1)), feature_group_count=2, rngs=rngs()),
            PICTURES,
        ),
        (lambda: nnx.Conv(8, 6, 3, padding=1, use_bias=False, rngs=rngs()), SEQUENCES),
        (lambda: nnx.ConvTranspose(4, 6, (3, 2), 2, rngs=rngs()), PICTURES),
        (lambda: nnx.ConvTranspose(4, 6, (4, 4), (2, 3), padding="VALID", rngs=rngs()), PICTURES),
        (lambda: nnx.ConvTranspose(4, 6, (3, 4), 2, padding=1, transpose_kernel=True, rngs=rngs()), PICTURES),
        (lambda: nnx.BatchNorm(4, rngs=rngs()), PICTURES),
        (lambda: nnx.LayerNorm(8, rngs=rngs()), SEQUENCES),
        (lambda: nnx.RMSNorm(8, epsilon=1e-3, rngs=rngs()), SEQUENCES),
        (lambda: nnx.GroupNorm(4, num_groups=2, rngs=rngs()), PICTURES),
        (lambda: nnx.Embed(7, 3, rngs=rngs()), TOKENS),
        (lambda: nnx.MultiHeadAttention(2, 8, decode=False, dropout_rate=0.3, rngs=rngs()), SEQUENCES),
        (lambda: nnx.Dropout(0.5, rngs=rngs()), SEQUENCES),
    ],
)
@pytest.mark.parametrize("training", [False, True])
def test_layer_is_its_formula(layer, inputs, training):
    side = of(layer())
    trace = checked(side, inputs, training=training)
    layers = [call for call in trace.calls if call.path == "layer"]
    assert len(layers) == 1
    assert {stored.name for stored in layers[0].parameters.values()} == set(side.parameters())


@pytest.mark.parametrize(
    "function",
    [
        nnx.relu,
        jax.nn.relu6,
        nnx.leaky_relu,
        nnx.elu,
        nnx.selu,
        nnx.celu,
        nnx.gelu,
        nnx.silu,
        nnx.tanh,
        nnx.sigmoid,
        nnx.softplus,
        nnx.hard_sigmoid,
        nnx.hard_swish,
        jax.nn.mish,
        jnp.exp,
        jnp.abs,
        jnp.square,
        lambda x: nnx.gelu(x, approximate=False),
        lambda x: nnx.leaky_relu(x, 0.3),
        lambda x: nnx.elu(x, 0.5),
        nnx.softmax,
        nnx.log_softmax,
        lambda x: jax.nn.softmax(x, axis=1),
        lambda x: jnp.sqrt(x * x + 1.0),
        lambda x: x.mean((1, 2)),
        lambda x: jnp.sum(x, -1, keepdims=True),
        lambda x: x.max(1),
        lambda x: x.min(),
        lambda x: x.var(-1),
        lambda x: jnp.std(x, 1, ddof=1),
        lambda x: x.reshape(2, -1),
        lambda x: x.T,
        lambda x: x.transpose(0, 2, 1),
        lambda x: jnp.swapaxes(x, 1, 2),
        lambda x: x[:, -1],
        lambda x: x[..., ::2],
        lambda x: x[:, None, 1:3],
        lambda x: x[0],
        lambda x: x + x,
        lambda x: 1 - x,
        lambda x: 2.0 / x,
        lambda x: x**3,
        lambda x: (x * x) ** 2.5,
        lambda x: jnp.maximum(x, 0.0),
        lambda x: jnp.clip(x, -0.5, 0.5),
        lambda x: -x,
        lambda x: jnp.concatenate([x, x], 1),
        lambda x: jnp.stack([x, x], 1),
        lambda x: jnp.split(x, 2, -1)[1],
        lambda x: x @ x.transpose(0, 2, 1),
        lambda x: jnp.einsum("bij,bkj->bik", x, x),
        lambda x: jnp.flip(x, 1),
        lambda x: jnp.pad(x, ((0, 0), (1, 2), (0, 0))),
        lambda x: jnp.pad(x, ((0, 0), (1, 2), (0, 0)), mode="reflect"),
        lambda x: jnp.expand_dims(x, 1).squeeze(1),
        lambda x: x.astype(jnp.float32) * 1.5,
        lambda x: jax.lax.stop_gradient(x) + 1,
        lambda x: nnx.max_pool(x, (2,), (2,), "SAME"),
        lambda x: nnx.avg_pool(x, (3,), (2,), "SAME"),
        lambda x: nnx.avg_pool(x, (3,), (2,), "SAME", count_include_pad=False),
        jax.jit(lambda x: nnx.relu(x) + 1),
        lambda x: jax.lax.scan(lambda c, y: (c + y, c * y), jnp.zeros(8), x[0])[1],
    ],
)
def test_function_is_its_formula(function):
    trace = checked(side_of(Wrapped(None, lambda _, x: function(x))), SEQUENCES)
    expected = function(jnp.asarray(SEQUENCES))
    found = trace.values[trace.outputs[0]].array
    assert np.abs(found - np.asarray(expected, np.float64)).max() < (
        1e-12 if expected.dtype == np.float64 else 1e-6
    )
