"""Dropout is compared by its rate and by what it drops."""

import numpy as np
import pytest
from support.numpy_side import NumpySide

from harness.port.causes.dropouts import dropouts
from harness.tracing import semantics as kinds

RNG = np.random.default_rng(0)
LINEAR = "fc", kinds.Linear(), {"kernel": RNG.normal(size=(6, 4))}
NORM = "norm", kinds.LayerNormalization(epsilon=1e-5, axes=(-1,)), {}
RELU = "act", kinds.Activation(function="relu"), {}
TANH = "act", kinds.Activation(function="tanh"), {}
DROPOUT = "drop", kinds.Dropout(rate=0.5, active=True), {}
HALF = "half", kinds.Arithmetic(function="multiply", constant=0.5), {}


def causes(a, b):
    inputs = [RNG.normal(size=(5, 6))]
    traces = [NumpySide(*calls).trace(inputs, training=True) for calls in (a, b)]
    return dropouts(*traces, training=True)


@pytest.mark.parametrize("layer", [NORM, TANH])
def test_dropout_on_the_other_side_of_a_layer_is_found(layer):
    (cause,) = causes([LINEAR, DROPOUT, layer], [LINEAR, layer, DROPOUT])
    assert (cause.kind, cause.mode) == ("dropout", "training")
    assert (cause.a, cause.b) == ("of the output of fc", f"of the output of {layer[0]}")


@pytest.mark.parametrize("layers", [[RELU], [HALF], [RELU, HALF]])
def test_dropout_before_or_after_what_scales_is_the_same(layers):
    assert causes([LINEAR, DROPOUT, *layers, NORM], [LINEAR, *layers, DROPOUT, NORM]) == []


def test_dropout_of_a_value_that_one_side_does_not_show_is_not_accused():
    assert causes([LINEAR, DROPOUT, HALF, NORM], [LINEAR, HALF, NORM, TANH, DROPOUT]) == []


def test_dropout_of_channels_is_not_that_of_elements():
    of_channels = "drop", kinds.Dropout(rate=0.5, active=True, together=4), {}
    (cause,) = causes([LINEAR, DROPOUT, NORM], [LINEAR, of_channels, NORM])
    assert (cause.a, cause.b) == ("each element", "4 elements together")
    assert causes([LINEAR, of_channels, NORM], [LINEAR, of_channels, NORM]) == []


@pytest.mark.parametrize(
    ("layer", "shape", "together"),
    [
        ("Dropout", (2, 3, 4, 5), 1),
        ("Dropout1d", (2, 3, 4), 4),
        ("Dropout1d", (3, 4), 4),
        ("Dropout2d", (2, 3, 4, 5), 20),
        ("Dropout2d", (2, 3, 4), 4),
        ("Dropout3d", (2, 3, 4, 5, 6), 120),
        ("Dropout3d", (3, 4, 5, 6), 120),
    ],
)
@pytest.mark.filterwarnings("ignore:dropout2d")
def test_so_many_elements_of_torch_are_zero_together(layer, shape, together):
    torch = pytest.importorskip("torch")
    from harness_torch.port.exact import dropped_together

    function = getattr(torch.nn.functional, layer.lower())
    x = torch.ones(shape)
    assert dropped_together(function, x) == together
    zero = (function(x, 0.5) == 0).reshape(-1, together)
    assert torch.equal(zero.all(1), zero.any(1))


@pytest.mark.parametrize(
    ("noise_shape", "together"),
    [(None, 1), ((2, 1, 1, 5), 12), ((None, 1, None, None), 3), ((2, 3, 4, 5), 1)],
)
def test_so_many_elements_of_keras_have_one_number(noise_shape, together):
    pytest.importorskip("keras")
    from harness_keras.port.layers import together_of

    assert together_of((2, 3, 4, 5), noise_shape) == together
