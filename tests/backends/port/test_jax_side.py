"""Models of flax.nnx as sides: what is recorded, and that it is what happens."""

import numpy as np
import pytest

pytest.importorskip("flax")

import jax
import jax.numpy as jnp
from flax import nnx
from support.jax_sides import checked, kinds_of, prepared, randomized, side_of, values

from harness.tracing import semantics as kinds
from harness.tracing.side import Override, OwnTraining

RNG = np.random.default_rng(0)
PICTURES, SEQUENCES, TOKENS = (
    RNG.normal(size=(2, 9, 8, 4)),
    RNG.normal(size=(2, 5, 8)),
    RNG.integers(0, 7, (2, 5)),
)


@pytest.fixture(scope="module", autouse=True)
def _as_in_a_side(quick_xla):
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
        (lambda: nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs()), SEQUENCES),
        (lambda: nnx.Dropout(0.5, rngs=rngs()), SEQUENCES),
    ],
)
def test_layer_is_its_formula(layer, inputs):
    side = of(layer())
    for training in (False, True):
        trace = checked(side, inputs, training=training)
        moves = kinds.Reshape | kinds.Transposition
        calls = [call for call in trace.calls if not isinstance(call.does, moves)]
        # Attention has its projections beside it.
        assert [call.path for call in calls].count("layer") == 1
        used = {stored.name for call in calls for stored in call.parameters.values()}
        assert used == set(side.parameters())


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


def linear(x, parameters):
    return x @ parameters["kernel"] + parameters["bias"]


def attention(parameters, x):
    """Packed and reshaped projections, and one that is transposed."""
    query, key, value = (x @ part for part in jnp.split(parameters["qkv"], 3, axis=-1))
    scores = jnp.einsum("bqd,bkd->bqk", query, key) / 2
    return jnp.einsum("...qk,...kd->...qd", jax.nn.softmax(scores), value) @ parameters["out"].T


def stacked(parameters, x):
    """Layers in a loop of JAX, evaluated again for the gradient."""
    body = jax.checkpoint(lambda x, layer: (jnp.tanh(linear(x, layer)), None))
    return jax.lax.scan(body, x, parameters)[0]


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        (lambda p, x: linear(x, p), {"kernel": (8, 3), "bias": (3,)}, ["Linear"]),
        (attention, {"qkv": (8, 24), "out": (5, 8)}, None),
        (stacked, {"kernel": (2, 8, 8), "bias": (2, 8)}, None),
        (lambda p, x: jnp.einsum("hdi,bti->bthd", p["w"], x), {"w": (2, 3, 8)}, ["Linear", "Reshape"]),
        (
            lambda p, x: jax.lax.conv_general_dilated(
                x, p["w"], (2,), "SAME", dimension_numbers=("NHC", "OIH", "NHC")
            ),
            {"w": (3, 8, 2)},
            ["Convolution"],
        ),
    ],
)
def test_pure_function_uses_its_parameters_by_role(function, shapes, expected):
    rng = np.random.default_rng(3)
    parameters = {name: jnp.asarray(rng.normal(size=shape)) for name, shape in shapes.items()}
    trace = checked(side_of((parameters, function)), SEQUENCES)
    assert expected is None or kinds_of(trace) == expected
    found = trace.values[trace.outputs[0]].array
    assert np.abs(found - np.asarray(function(parameters, jnp.asarray(SEQUENCES)))).max() < 1e-12
    used = {stored.name for call in trace.calls for stored in call.parameters.values()}
    assert used == set(shapes)
    assert "Linear" in kinds_of(trace) or "Convolution" in kinds_of(trace)


class BiasedCell(nnx.GRUCell):
    def __init__(self, inputs, units, *, rngs):
        super().__init__(inputs, units, rngs=rngs)
        self.dense_h = nnx.Linear(units, 3 * units, rngs=rngs)


CELLS = [nnx.GRUCell, BiasedCell, nnx.LSTMCell, nnx.OptimizedLSTMCell, nnx.SimpleCell]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", [{"return_carry": True}, {"reverse": True}])
def test_recurrent_layer_has_its_gates(cell, options):
    side = of(nnx.RNN(cell(8, 6, rngs=rngs()), **options))
    trace = checked(side, SEQUENCES)
    assert {stored.name for stored in trace.calls[-1].parameters.values()} == set(side.parameters())
    assert kinds_of(trace)[-1] == "Recurrent"


class Small(nnx.Module):
    def __init__(self, generators):
        self.conv = nnx.Conv(4, 6, (3, 3), dtype=jnp.float32, rngs=generators)
        self.norm = nnx.BatchNorm(6, momentum=0.9, rngs=generators)
        self.activation = nnx.relu
        self.dropout = nnx.Dropout(0.5, rngs=generators)
        self.head = nnx.Linear(6, 3, rngs=generators)
        self.scale = nnx.Param(jnp.ones(3))

    def __call__(self, x):
        x = self.activation(self.norm(self.conv(x))).mean((1, 2))
        return {"logits": self.head(self.dropout(x)) * self.scale, "features": x}


def test_overrides_replace_outputs_and_inputs():
    side = side_of(Small(rngs()))
    trace = checked(side, PICTURES)
    head = next(place for place, call in enumerate(trace.calls) if call.path == "head")
    ones, zeros = np.ones((2, 3)), np.zeros((2, 6))
    mended = side.trace([PICTURES], training=False, overrides=[Override(head, 0, ones)])
    assert (mended.values[mended.outputs[0]].array == 0).all() or values(mended, head + 1)[0].shape == (2, 3)
    assert (values(mended, head)[0] == ones).all()
    emptied = side.trace([PICTURES], training=False, overrides=[Override(head, 0, zeros, "input")])
    assert np.allclose(values(emptied, head)[0], side.parameters()["head.bias"])
    assert [call.does for call in emptied.calls] == [call.does for call in trace.calls]


def test_state_changes_in_the_trace_alone():
    side = side_of(Small(rngs()))
    before = side.parameters()
    trace = checked(side, PICTURES, training=True)
    batch = values(trace, 0)[0]
    expected = 0.9 * before["norm.var"] + 0.1 * batch.var((0, 1, 2))
    assert set(trace.state_after) == {"norm.mean", "norm.var"}
    assert np.abs(trace.state_after["norm.var"] - expected).max() < 1e-14
    assert checked(side, PICTURES).state_after == {}
    assert all((array == before[name]).all() for name, array in side.parameters().items())
    assert [trace.values[place].name for place in trace.outputs] == ["features", "logits"]


def test_dropout_is_left_out_and_said_to_be_active():
    side = side_of(Small(rngs()))
    for training in (True, False):
        trace = checked(side, PICTURES, training=training)
        assert [c.does for c in trace.calls if isinstance(c.does, kinds.Dropout)] == [
            kinds.Dropout(rate=0.5, active=training)
        ]


@pytest.mark.parametrize(
    ("function", "draws"),
    [
        (lambda p, x, key: (x @ p["kernel"], key)[0], True),
        (lambda p, x, rng=None: (x @ p["kernel"], rng)[0], True),
        (lambda p, x: x @ p["kernel"], False),
    ],
)
def test_a_function_that_takes_a_key_draws(function, draws):
    side = side_of(({"kernel": jnp.ones((8, 3))}, function), (8,))
    assert side.draws is draws
    assert kinds_of(side.trace([RNG.normal(size=(2, 8))], training=True)) == ["Linear"]


def test_gradients_are_those_of_finite_differences():
    side = randomized(side_of(Wrapped(nnx.Linear(8, 3, rngs=rngs()))))
    targets = np.arange(10).reshape(2, 5) % 3
    found = side.gradients([SEQUENCES], targets, "cross-entropy")
    kernel = side.parameters()["layer.kernel"]
    moved = kernel.copy()
    moved[2, 1] += 1e-6
    side.load({"layer.kernel": moved})
    slope = (side.gradients([SEQUENCES], targets, "cross-entropy").loss - found.loss) / 1e-6
    assert abs(slope - found.parameters["layer.kernel"][2, 1]) < 1e-5
    assert found.inputs[0].shape == SEQUENCES.shape
    assert set(found.parameters) == side.trained() == {"layer.kernel", "layer.bias"}


def test_training_descends_and_keeps_the_model():
    side = side_of(Small(rngs()))
    before, targets = side.parameters(), np.array([0, 1])
    trained = side.train([([PICTURES], np.zeros((2, 6)))] * 3, "mse")
    assert trained.losses[2] < trained.losses[0]
    assert (trained.parameters["norm.mean"] != before["norm.mean"]).all()
    assert all((array == before[name]).all() for name, array in side.parameters().items())
    assert targets.shape == (2,)


def test_gradients_that_optax_accumulates_are_float64_and_held_numbers_have_none():
    optax = pytest.importorskip("optax")
    own = OwnTraining(lambda: optax.MultiSteps(optax.sgd(0.1), 2))
    side = side_of(nnx.Linear(4, 2, rngs=nnx.Rngs(0)), (4,), own=own)
    batch, held = ([np.ones((3, 4))], np.ones((3, 2))), {"bias": np.array([True, False])}
    slope = side.gradients(*batch, "mse").parameters["bias"]
    moves = side.train([batch] * 2, "mse", held=held).parameters["bias"] - side.parameters()["bias"]
    np.testing.assert_allclose(moves, [0.0, -0.1 * slope[1]], rtol=1e-12)
    assert {rule.rule for rule in side.updates().values()} == {"unknown"}


def test_dropout_inside_of_attention_is_a_call_of_its_own():
    side = side_of(nnx.MultiHeadAttention(2, 8, decode=False, dropout_rate=0.3, rngs=nnx.Rngs(0)), SEQUENCES)
    for training in (False, True):
        trace = side.trace([SEQUENCES], training=training)
        attention, dropped, _, output = trace.calls[-4:]
        assert attention.does == kinds.Attention(scale=0.5, heads_axis=2)
        assert dropped.does == kinds.Dropout(rate=0.3, active=training)
        assert output.does == kinds.Linear()
