"""The walk names the layer and the cause of planted faults, on sides without a framework."""

import msgspec
import numpy as np
import pytest
from support.numpy_side import NumpySide

from harness.port.matching import match
from harness.port.transfer import transferred
from harness.port.walk import walk
from harness.tracing import semantics as kinds

RNG = np.random.default_rng(0)
INPUTS = [RNG.normal(size=(4, 8, 8, 3))]
CONV = kinds.Convolution(strides=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1))
RELU = kinds.Activation(function="relu")
POOL = kinds.Pooling(function="max", size=(2, 2), strides=(2, 2), padding=((0, 0), (0, 0)))
NORM = kinds.BatchNormalization(epsilon=1e-5, momentum=0.1, unbiased_running_variance=True)


def array(*shape):
    return RNG.normal(size=shape)


def norm_parameters(channels):
    return {
        "scale": array(channels),
        "shift": array(channels),
        "running_mean": array(channels),
        "running_variance": 0.5 + RNG.random(channels),
    }


CHAIN = {
    "conv1": (CONV, {"kernel": array(3, 3, 3, 4), "bias": array(4)}),
    "bn": (NORM, norm_parameters(4)),
    "relu": (RELU, {}),
    "pool": (POOL, {}),
    "conv2": (CONV, {"kernel": array(3, 3, 4, 4), "bias": array(4)}),
    "gelu": (kinds.Activation(function="gelu"), {}),
    "flat": (kinds.Reshape(shape=(64,)), {}),
    "dense": (kinds.Linear(), {"kernel": array(64, 10), "bias": array(10)}),
}


def side(order=tuple(CHAIN), **changed):
    calls = []
    for path in order:
        does, parameters = CHAIN[path]
        calls.append((path, msgspec.structs.replace(does, **changed.get(path, {})), parameters))
    return NumpySide(*calls)


def found(b, a=None, *, training=False):
    a = a or side()
    trace_a, trace_b = (each.trace(INPUTS, training=training) for each in (a, b))
    matching = match(trace_a, trace_b)
    values, _ = transferred(matching, a.loaded, b.loaded)
    b.load(values)
    return walk(b, trace_a, INPUTS, matching, training=training)


def test_equal_sides_have_no_cause():
    assert found(side()) == []


@pytest.mark.parametrize(
    ("path", "change", "kind"),
    [
        ("bn", {"epsilon": 1e-3}, "epsilon"),
        ("conv1", {"padding": ((2, 0), (2, 0))}, "padding"),
        ("conv1", {"dilation": (2, 2), "padding": ((2, 2), (2, 2))}, "dilation"),
        ("pool", {"function": "mean"}, "pooling"),
        ("gelu", {"function": "gelu_tanh"}, "GELU"),
        ("relu", {"function": "elu"}, "activation"),
    ],
)
def test_a_fault_is_named_at_its_layer_with_the_number_that_proves_it(path, change, kind):
    (cause,) = found(side(**{path: change}))
    assert (cause.kind, cause.path_b) == (kind, path)
    assert cause.before > 1e-6
    assert cause.after < 1e-12


def test_three_faults_are_named_in_one_walk():
    b = side(bn={"epsilon": 1e-3}, pool={"function": "mean"}, gelu={"function": "gelu_tanh"})
    assert [cause.kind for cause in found(b)] == ["epsilon", "pooling", "GELU"]


def test_a_missing_call_is_named_with_what_follows_it():
    order = [path for path in CHAIN if path != "relu"]
    (cause,) = found(side(order))
    assert (cause.kind, cause.a, cause.path_b) == ("missing call", "relu", "before conv2")
    assert cause.after < 1e-12


def test_an_activation_before_the_normalisation_is_an_order():
    order = ["conv1", "relu", "bn", "pool", "conv2", "gelu", "flat", "dense"]
    (cause,) = found(side(order))
    assert (cause.kind, cause.path_b) == ("order", "relu before bn")


def test_a_moved_stride_is_named_at_both_layers():
    strided = {"strides": (2, 2), "padding": ((1, 1), (1, 1))}
    chain = ["conv1", "relu", "conv2", "gelu"]
    assert [c.kind for c in found(side(chain, conv2=strided), side(chain, conv1=strided))] == [
        "stride",
        "stride",
    ]


def test_a_border_of_its_own_is_padding():
    pad = ("pad", kinds.Padded(padding=((0, 0), (1, 1), (1, 1), (0, 0))), {})
    bare = msgspec.structs.replace(CONV, padding=((0, 0), (0, 0)))
    conv = ("conv1", bare, CHAIN["conv1"][1])
    rest = [(path, *CHAIN[path]) for path in list(CHAIN)[1:]]
    changed = [(p, msgspec.structs.replace(d, epsilon=1e-3) if p == "bn" else d, w) for p, d, w in rest]
    assert [cause.kind for cause in found(NumpySide(pad, conv, *changed))] == ["epsilon"]


def test_another_arrangement_of_the_same_function_is_not_accused():
    halves = [("half", kinds.Arithmetic(function="multiply", constant=0.5), {})]
    doubles = [("double", kinds.Arithmetic(function="multiply", constant=2.0), {})]
    calls = [(path, *CHAIN[path]) for path in CHAIN]
    wrong = [
        (p, msgspec.structs.replace(d, function="gelu_tanh") if p == "gelu" else d, w) for p, d, w in calls
    ]
    assert [c.kind for c in found(NumpySide(*wrong[:3], *halves, *doubles, *wrong[3:]))] == ["GELU"]


def test_a_kernel_that_is_turned_round_is_recognised():
    flipped = np.flip(CHAIN["conv1"][1]["kernel"], (0, 1))
    b = side()

    class Flipped(NumpySide):
        def load(self, parameters):
            turned = np.flip(parameters["conv1.kernel"], (0, 1))
            super().load({**parameters, "conv1.kernel": turned})

    assert flipped.shape == (3, 3, 3, 4)
    (cause,) = found(Flipped(*b.calls))
    assert (cause.kind, cause.path_b) == ("flipped kernel", "conv1")
