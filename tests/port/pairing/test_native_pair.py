"""The native layer of one or two traced models, without a framework: names, places, and what is refused."""

import math

import msgspec
import numpy as np
import pytest
from support.numpy_side import NumpySide

from harness.core.models.messages import Built, Description
from harness.core.models.reading import OwnModel, SideSpec, native_layer
from harness.errors import UsageError
from harness.port.pairing.native import native_pair
from harness.tracing import semantics as kinds
from harness.tracing.calls import InputShape, Stored

RNG = np.random.default_rng(0)
SHAPE = InputShape((6,))
NORM = kinds.BatchNormalization(epsilon=1e-5, momentum=0.1, unbiased_running_variance=True)


def dense(inputs, outputs, *, bias=True):
    parameters = {"kernel": RNG.normal(size=(inputs, outputs))}
    return parameters | {"bias": np.zeros(outputs)} if bias else parameters


def norm(features):
    return {
        "scale": np.ones(features),
        "shift": np.zeros(features),
        "running_mean": np.zeros(features),
        "running_variance": np.ones(features),
    }


def model(plugin, *calls, dropped=False, frozen=()):
    side = NumpySide(*calls)
    evaluated, trained = (side.trace([RNG.normal(size=(2, 6))], training=mode) for mode in (False, True))
    held = [name for name in side.loaded if "running" in name]
    trained.state_after = {name: side.loaded[name] for name in held}
    if dropped:
        trained.calls[-1].does = kinds.Dropout(rate=0.5, active=True)
    learned = [name for name in side.loaded if name not in {*held, *frozen}]
    return OwnModel(
        SideSpec(f"{plugin}_model.py:make"),
        Built(plugin, {}, own_optimizer=False, own_loss=False, plugin=plugin, backend=plugin),
        Description(side.loaded, learned, None),
        evaluated,
        trained,
    )


def chain(*names, bias=True):
    first, second, third = names
    return (
        (first, kinds.Linear(), dense(6, 4)),
        (second, NORM, norm(4)),
        (third, kinds.Linear(), dense(4, 3, bias=bias)),
    )


A = model("one", *chain("fc1", "bn", "fc2"))


def test_a_pair_has_the_names_of_a_and_the_places_of_both():
    layer = native_pair(A, model("two", *chain("dense", "norm", "dense_1")), SHAPE, {})
    places = {each.name: {name: at.name for name, at in each.stored.items()} for each in layer.trained}
    assert places["fc1/kernel"] == {"one": "fc1.kernel", "two": "dense.kernel"}
    assert places["fc2/bias"] == {"one": "fc2.bias", "two": "dense_1.bias"}
    assert {each.name for each in layer.held} == {"bn/running_mean", "bn/running_variance"}
    assert [each.framework for each in layer.models] == ["one", "two"]
    assert layer.outputs == (3,)
    assert layer.flops == 2 * (6 * 4 + 4 * 3)
    initial = {each.name: each.initial for each in (*layer.trained, *layer.held)}
    assert initial["bn/scale"] == initial["bn/running_variance"] == "ones"
    assert initial["fc1/bias"] == "zeros"


def test_a_convolution_of_size_one_is_stored_as_the_dense_layer_that_it_is():
    kernel = RNG.normal(size=(6, 4))
    a = model("one", ("fc", kinds.Linear(), {"kernel": kernel}))
    b = model("two", ("conv", kinds.Linear(), {"kernel": kernel}))
    name = "conv.kernel"
    b.described.parameters[name] = kernel.reshape(1, 1, 6, 4)
    next(each for each in b.evaluated.values if each.name == name).array = kernel.reshape(1, 1, 6, 4)
    (array,) = native_pair(a, b, SHAPE, {}).trained
    place = array.stored["two"]
    np.testing.assert_array_equal(place.canonical(b.described.parameters[name]), kernel)
    stored = np.zeros((1, 1, 6, 4))
    place.store(2 * kernel, stored)
    np.testing.assert_array_equal(stored[0, 0], 2 * kernel)


def test_given_names_decide_where_shapes_do_not():
    layers = [(name, kinds.Linear(), dense(6, 6)) for name in ("first", "second")]
    a, b = model("one", *layers), model("two", *layers)
    crossed = {"first.kernel": ["second.kernel"], "second.kernel": ["first.kernel"]}
    layer = native_pair(a, b, SHAPE, crossed)
    kernels = {each.name: each.stored["two"].name for each in layer.trained if each.name.endswith("kernel")}
    assert kernels == {"first/kernel": "second.kernel", "second/kernel": "first.kernel"}


def test_a_name_that_no_model_has_is_refused():
    with pytest.raises(UsageError, match=r"--map: A has no parameter 'fc3\.kernel'"):
        native_pair(A, model("two", *chain("a", "b", "c")), SHAPE, {"fc3.kernel": ["a.kernel"]})


def test_a_parameter_without_counterpart_is_refused_by_name():
    with pytest.raises(UsageError, match=r"one_model\.py:make has parameters .* lacks \(fc2\.bias\)"):
        native_pair(A, model("two", *chain("fc1", "bn", "fc2", bias=False)), SHAPE, {})
    without = [call for call in chain("fc1", "bn", "fc2") if call[0] != "bn"]
    with pytest.raises(UsageError, match=r"bn\.scale, bn\.shift, bn\.running_mean …"):
        native_pair(A, model("two", *without), SHAPE, {})


def test_two_models_of_one_framework_are_no_pair():
    with pytest.raises(UsageError, match="both models of one"):
        native_pair(A, A, SHAPE, {})


def test_what_is_trained_in_one_model_only_is_refused():
    b = model("two", *chain("fc1", "bn", "fc2"), frozen={"fc2.bias"})
    with pytest.raises(UsageError, match=r"fc2\.bias of two_model\.py:make is trained in one of the models"):
        native_pair(A, b, SHAPE, {})


def tied(plugin):
    """A model whose second layer has the parameters of the first."""
    own = model(plugin, ("fc", kinds.Linear(), dense(6, 6)), ("fc_again", kinds.Linear(), dense(6, 6)))
    for trace in (own.evaluated, own.trained):
        trace.calls[1].parameters = {
            role: msgspec.structs.replace(at, final_shape=shape)
            for (role, at), shape in zip(trace.calls[0].parameters.items(), [(6, 6), (6,)], strict=True)
        }
    parameters = {name: each for name, each in own.described.parameters.items() if "again" not in name}
    return own._replace(described=Description(parameters, list(parameters), None))


def test_a_shared_array_is_one_array_and_must_be_shared_by_both():
    assert len(native_layer(tied("one"), SHAPE).trained) == 2
    assert len(native_pair(tied("one"), tied("two"), SHAPE, {}).trained) == 2
    apart = model("two", ("fc", kinds.Linear(), dense(6, 6)), ("other", kinds.Linear(), dense(6, 6)))
    with pytest.raises(UsageError, match=r"one_model\.py:make uses fc\.kernel twice where two_model\.py"):
        native_pair(tied("one"), apart, SHAPE, {})
    with pytest.raises(UsageError, match=r"one_model\.py:make uses fc\.kernel twice where two_model\.py"):
        native_pair(apart, tied("one"), SHAPE, {})


@pytest.mark.parametrize("dropped", [(), ("a",), ("b",)])
def test_dropout_of_either_model_is_known(dropped):
    calls = (*chain("fc1", "bn", "fc2"), ("drop", kinds.Activation(function="relu"), {}))
    a, b = (model(plugin, *calls, dropped=name in dropped) for name, plugin in (("a", "one"), ("b", "two")))
    assert native_pair(a, b, SHAPE, {}).dropout == ("active" if dropped else "none")


def test_a_model_that_takes_random_numbers_drops_values():
    drawing = A._replace(built=msgspec.structs.replace(A.built, draws=True))
    assert [native_layer(each, SHAPE).dropout for each in (A, drawing)] == ["none", "active"]


def test_running_variances_of_two_conventions_are_not_compared():
    biased = msgspec.structs.replace(NORM, unbiased_running_variance=False)
    calls = [(name, biased if does == NORM else does, arrays) for name, does, arrays in chain("a", "b", "c")]
    alike = native_pair(A, model("two", *chain("a", "b", "c")), SHAPE, {})
    other = native_pair(A, model("two", *calls), SHAPE, {})
    assert all(each.shared for each in (*alike.trained, *alike.held))
    assert [each.name for each in (*other.trained, *other.held) if not each.shared] == ["bn/running_variance"]


# Parameters of which a model uses parts.


def with_uses(*uses):
    """A model with a parameter ``w`` of shape (6, 12) of which these parts are used as kernels."""
    own = model("one", ("w", kinds.Linear(), {"kernel": RNG.normal(size=(6, 12))}))
    (call,) = own.evaluated.calls
    calls = [
        msgspec.structs.replace(call, path=f"use{number}", parameters={"kernel": stored})
        for number, stored in enumerate(uses)
    ]
    return own._replace(evaluated=msgspec.structs.replace(own.evaluated, calls=calls))


def part(start, stop):
    return Stored("w.kernel", axis=1, start=start, stop=stop)


@pytest.mark.parametrize(
    ("uses", "names"),
    [
        # A fused projection, and its three parts, which attention uses.
        ([Stored("w.kernel"), part(0, 4), part(4, 8), part(8, 12)], {"use0/kernel": (6, 12)}),
        (
            [part(0, 4), part(8, 12), part(4, 8)],
            {"use0/kernel": (6, 4), "use1/kernel": (6, 4), "use2/kernel": (6, 4)},
        ),
        ([part(0, 8), part(4, 12)], {"w/kernel/kernel": (6, 12)}),  # they overlap
        ([part(4, 8)], {"w/kernel/kernel": (6, 12)}),  # a gap
    ],
)
def test_each_number_is_in_one_array(uses, names):
    layer = native_layer(with_uses(*uses), SHAPE)
    assert {array.name: array.shape for array in layer.trained} == names
    assert sum(math.prod(array.shape) for array in layer.trained) == 72


def test_a_pair_of_fused_projections_has_them_once():
    fused = [Stored("w.kernel"), part(0, 4), part(4, 8), part(8, 12)]
    one, two = with_uses(*fused), with_uses(*fused)
    two = two._replace(built=msgspec.structs.replace(two.built, plugin="two", backend="two"))
    (array,) = native_pair(one, two, SHAPE, {}).trained
    assert array.shape == (6, 12)
