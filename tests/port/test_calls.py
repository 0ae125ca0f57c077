"""The NumPy formulas against PyTorch, which shares no code with them."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from harness.port.calls import NoReference, compute, running_statistics  # noqa: E402
from harness.tracing import semantics as kinds  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 6, 9, 8))


def tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array))


def same(expected, does, inputs, parameters=None):
    found = compute(does, inputs, parameters or {})[0]
    assert found.shape == tuple(expected.shape)
    assert np.abs(found - expected.numpy()).max() < 1e-13


def test_convolution_with_groups_stride_and_dilation():
    kernel, bias = RNG.normal(size=(10, 3, 3, 2)), RNG.normal(size=10)
    does = kinds.Convolution(
        strides=(2, 1), padding=((1, 1), (0, 0)), dilation=(1, 2), groups=2, channels_first=True
    )
    expected = functional.conv2d(tensor(X), tensor(kernel), tensor(bias), (2, 1), (1, 0), (1, 2), 2)
    same(expected, does, [X], {"kernel": kernel.transpose(2, 3, 1, 0), "bias": bias})


def test_transposed_convolution_with_output_padding():
    kernel = RNG.normal(size=(6, 5, 3, 4))
    expected = functional.conv_transpose2d(tensor(X), tensor(kernel), None, (2, 3), (1, 1), (1, 0))
    does = kinds.Convolution(
        strides=(2, 3), padding=((1, 0), (1, 1)), dilation=(1, 1), transposed=True, channels_first=True
    )
    same(expected, does, [X], {"kernel": kernel.transpose(2, 3, 0, 1)})


@pytest.mark.parametrize("counts", [True, False])
def test_average_pooling_counts_padding_or_not(counts):
    does = kinds.Pooling(
        function="mean",
        size=(3, 3),
        strides=(2, 2),
        padding=((1, 1), (1, 1)),
        counts_padding=counts,
        channels_first=True,
    )
    same(functional.avg_pool2d(tensor(X), 3, 2, 1, count_include_pad=counts), does, [X])


def test_max_and_adaptive_pooling():
    pooling = kinds.Pooling(
        function="max", size=(3, 3), strides=(2, 2), padding=((1, 1), (1, 1)), channels_first=True
    )
    same(functional.max_pool2d(tensor(X), 3, 2, 1), pooling, [X])
    adaptive = kinds.AdaptivePooling(function="mean", size=(4, 3), channels_first=True)
    same(functional.adaptive_avg_pool2d(tensor(X), (4, 3)), adaptive, [X])


@pytest.mark.parametrize("corners", [True, False])
def test_bilinear_resizing(corners):
    does = kinds.Resize(size=(13, 5), method="bilinear", align_corners=corners, channels_first=True)
    same(functional.interpolate(tensor(X), (13, 5), mode="bilinear", align_corners=corners), does, [X])


@pytest.mark.parametrize(
    ("cell", "module", "gates"), [("gru", "GRU", "rzn"), ("lstm", "LSTM", "ifgo"), ("rnn", "RNN", "h")]
)
def test_recurrent_layers(cell, module, gates):
    layer = getattr(torch.nn, module)(4, 5, batch_first=True).double()
    stored = {name: value.detach().numpy() for name, value in layer.named_parameters()}
    parameters = {}
    for place, gate in enumerate(gates):
        part = slice(5 * place, 5 * place + 5)
        parameters[f"kernel_{gate}"] = stored["weight_ih_l0"][part].T
        parameters[f"recurrent_{gate}"] = stored["weight_hh_l0"][part].T
        parameters[f"bias_{gate}"] = stored["bias_ih_l0"][part]
        parameters[f"recurrent_bias_{gate}"] = stored["bias_hh_l0"][part]
    x = RNG.normal(size=(2, 7, 4))
    same(layer(tensor(x))[0].detach(), kinds.Recurrent(cell=cell), [x], parameters)


def test_normalisations():
    y = RNG.normal(size=(2, 6, 8))
    same(functional.layer_norm(tensor(y), (8,)), kinds.LayerNormalization(epsilon=1e-5, axes=(-1,)), [y])
    scale = RNG.normal(size=6)
    does = kinds.GroupNormalization(groups=3, epsilon=1e-5, channels_first=True)
    same(functional.group_norm(tensor(X), 3, tensor(scale)), does, [X], {"scale": scale})


def test_running_statistics_follow_the_framework():
    layer = torch.nn.BatchNorm2d(6, momentum=0.3).double()
    before = {"running_mean": np.zeros(6), "running_variance": np.ones(6)}
    layer(tensor(X))
    does = kinds.BatchNormalization(
        epsilon=1e-5, momentum=0.3, unbiased_running_variance=True, training=True, channels_first=True
    )
    after = running_statistics(does, X, before)
    assert np.allclose(after["running_mean"], layer.running_mean.numpy(), rtol=1e-12)
    assert np.allclose(after["running_variance"], layer.running_var.numpy(), rtol=1e-12)


_ACTIVATIONS = ["relu", "relu6", "elu", "selu", "celu", "silu", "tanh", "sigmoid", "softplus", "softsign"]


@pytest.mark.parametrize("name", [*_ACTIVATIONS, "hardswish", "hardsigmoid", "mish"])
def test_activations(name):
    x = RNG.normal(size=(4, 7)) * 4
    ours = {"hardswish": "hard_swish", "hardsigmoid": "hard_sigmoid"}.get(name, name)
    same(getattr(functional, name)(tensor(x)), kinds.Activation(function=ours), [x])


@pytest.mark.parametrize(("ours", "theirs"), [("gelu", "none"), ("gelu_tanh", "tanh")])
def test_both_forms_of_gelu(ours, theirs):
    x = RNG.normal(size=(4, 7)) * 4
    same(functional.gelu(tensor(x), approximate=theirs), kinds.Activation(function=ours), [x])


def test_causal_attention():
    query, key, value = RNG.normal(size=(3, 2, 2, 5, 4))
    expected = functional.scaled_dot_product_attention(*map(tensor, (query, key, value)), is_causal=True)
    same(expected, kinds.Attention(scale=0.5, causal_offset=0), [query, key, value])


def test_what_does_not_fit_has_no_reference():
    with pytest.raises(NoReference):
        compute(kinds.Linear(), [np.ones((2, 3))], {"kernel": np.ones((4, 5))})
    with pytest.raises(NoReference):
        compute(kinds.Opaque(function="f"), [np.ones(2)], {})


def test_masked_steps_leave_the_state_as_it_is():
    x, seen = RNG.normal(size=(1, 5, 4)), np.array([[True, False, True, True, False]])
    layer = torch.nn.GRU(4, 3, batch_first=True).double()
    stored = {name: value.detach().numpy() for name, value in layer.named_parameters()}
    parameters = {
        f"{role}_{gate}": part.T
        for role, name in (("kernel", "weight_ih_l0"), ("recurrent", "weight_hh_l0"))
        for gate, part in zip("rzn", np.split(stored[name], 3), strict=True)
    }
    parameters |= dict(zip(["bias_r", "bias_z", "bias_n"], np.split(stored["bias_ih_l0"], 3), strict=True))
    names = ["recurrent_bias_r", "recurrent_bias_z", "recurrent_bias_n"]
    parameters |= dict(zip(names, np.split(stored["bias_hh_l0"], 3), strict=True))
    steps = layer(tensor(x[seen][None]))[0].detach()[0]
    does = kinds.Recurrent(cell="gru", masked=True)
    same(steps[[0, 0, 1, 2, 2]][None], does, [x, seen], parameters)
