"""The walk names the layer and the cause of planted faults, on sides without a framework."""

import msgspec
import numpy as np
import pytest
from support.numpy_side import NumpyGraph, NumpySide

from harness.port.calls import compute
from harness.port.causes.state import running_state
from harness.port.pairing.matching import match
from harness.port.pairing.transfer import transferred
from harness.port.walk.walk import walk
from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, Stored, Trace, Value

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
    return walk(b, trace_a, b.trace(INPUTS, training=training), INPUTS, matching, training=training)


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


def test_a_model_of_thousands_of_calls_is_walked():
    many = [("", kinds.Arithmetic(function="add", constant=0.5), {})] * 2000
    parameters, changed = norm_parameters(3), msgspec.structs.replace(NORM, epsilon=1e-3)
    b, a = (NumpySide(("bn", each, parameters), *many) for each in (changed, NORM))
    (cause,) = found(b, a)
    assert (cause.kind, cause.path_b) == ("epsilon", "bn")


def test_layers_are_found_where_a_mode_has_a_call_more():
    """Than in the mode in which they were matched, as attention with dropout has in training."""
    a, b = side(), side(bn={"epsilon": 1e-3}, pool={"function": "mean"}, gelu={"function": "gelu_tanh"})
    trace_a, trace_b = (each.trace(INPUTS, training=False) for each in (a, b))
    matching = match(trace_a, trace_b)
    b = NumpySide(("", kinds.Activation(function="identity"), {}), *b.calls)
    b.load(transferred(matching, a.loaded, b.loaded)[0])
    causes = walk(b, trace_a, b.trace(INPUTS, training=True), INPUTS, matching, training=True)
    assert [cause.path_b for cause in causes] == ["bn", "pool", "gelu"]


def test_running_statistics_are_compared_where_a_mode_has_a_call_more():
    a, b = side(), side()
    matching = match(*(each.trace(INPUTS, training=False) for each in (a, b)))
    b = NumpySide(("", kinds.Activation(function="identity"), {}), *b.calls)
    traces = [each.trace(INPUTS, training=True) for each in (a, b)]
    for trace, number in zip(traces, (1.0, 2.0), strict=True):
        trace.state_after = {"bn.running_mean": np.full(4, number)}
    worst, _ = running_state(*traces, matching)
    assert worst == 1.0


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


def call(path, does, inputs, outputs, **parameters):
    return Call(
        path=path,
        function=type(does).__name__.lower(),
        does=does,
        inputs=inputs,
        outputs=outputs,
        parameters={role: Stored(name) for role, name in parameters.items()},
    )


class Fixed:
    """A side whose calls are not evaluated again: it has ``trace``, whatever is corrected."""

    def __init__(self, trace):
        self._trace = trace

    def trace(self, inputs, *, training, overrides=()):
        return self._trace


def causes_between(a, b, corrected=None):
    """The causes of the difference of two traces; ``corrected`` is that of B after the first correction."""
    return walk(Fixed(corrected or b), a, b, [], match(a, b), training=False)


def test_the_last_step_in_the_place_of_the_mean_is_no_missing_call():
    """A gives the last state, too, but goes on with the mean."""
    steps, kernel = array(3, 5, 4), array(4, 2)
    mean, last = steps.mean(1), steps[:, -1]
    outputs = np.tanh(mean) @ kernel, np.tanh(last) @ kernel

    def trace(pooling, pooled, output, *further):
        values = [Value("input", steps), Value("call", pooled), Value("call", np.tanh(pooled))]
        values += [Value("parameter", kernel, "w"), Value("call", output), *further]
        calls = [
            call("", pooling, [0], [1]),
            call("", kinds.Activation(function="tanh"), [1], [2]),
            call("head", kinds.Linear(), [2], [4], kernel="w"),
        ]
        return Trace(values, calls, [0], [4])

    a = trace(kinds.Reduction(function="mean", axes=(-2,)), mean, outputs[0], Value("call", last))
    b = trace(kinds.Slice(index="[:, -1]"), last, outputs[1])
    (cause,) = causes_between(a, b, corrected=trace(kinds.Slice(index="[:, -1]"), mean, outputs[0]))
    assert (cause.kind, cause.a, cause.b) == ("other function", "mean", "slice [:, -1]")
    assert cause.path_b == "before head"
    assert cause.after < 1e-12


@pytest.mark.parametrize("by_hand_in_a", [False, True])
def test_a_softmax_over_queries_is_named_where_one_side_writes_attention_by_hand(by_hand_in_a):
    query, key, value = (array(2, 2, 5, 3) for _ in range(3))
    seen = np.tril(np.ones((5, 5), bool))
    scores = np.where(seen, query @ key.swapaxes(-1, -2), -1e30)

    def by_hand(axis):
        weights = np.exp(scores - scores.max(axis, keepdims=True))
        weights /= weights.sum(axis, keepdims=True)
        values = [Value("input", each) for each in (query, key, value)]
        values += [Value("call", query @ key.swapaxes(-1, -2)), Value("call", scores)]
        values += [Value("call", weights), Value("call", weights @ value)]
        calls = [
            call("attention", kinds.MatrixProduct(transposed=True), [0, 1], [3]),
            call("attention", kinds.Opaque(function="where"), [3], [4]),
            call("attention", kinds.Softmax(axis=axis), [4], [5]),
            call("attention", kinds.MatrixProduct(), [5, 2], [6]),
        ]
        return Trace(values, calls, [0, 1, 2], [6])

    does = kinds.Attention(scale=1.0, causal_offset=0)
    expected = compute(does, [query, key, value], {})[0]
    values = [Value("input", each) for each in (query, key, value)] + [Value("call", expected)]
    fused = Trace(values, [call("attention", does, [0, 1, 2], [3])], [0, 1, 2], [3])
    a, b = (by_hand(-2), fused) if by_hand_in_a else (fused, by_hand(-2))
    (cause, *_) = causes_between(a, b)
    assert (cause.kind, cause.path_b) == ("softmax axis", "attention")
    assert (cause.a, cause.b) == (("-2", "-1") if by_hand_in_a else ("-1", "-2"))
    assert cause.after < 1e-12


@pytest.mark.parametrize("size", [4, 6])
def test_a_transposed_kernel_is_named_in_a_layer_of_ones_own(size):
    """As many channels as rows and columns, or not: the layouts of the sides differ."""
    pictures, kernel, bias = array(2, size, size, 4), array(3, 3, 4, 4), array(4)
    does = msgspec.structs.replace(CONV, channels_first=True)
    first = np.moveaxis(pictures, -1, 1)
    of_a = compute(does, [first], {"kernel": kernel, "bias": bias})[0]
    product = compute(CONV, [pictures], {"kernel": kernel.swapaxes(0, 1)})[0]
    a = Trace(
        [
            Value("input", first),
            Value("parameter", kernel, "w"),
            Value("parameter", bias, "b"),
            Value("call", of_a),
        ],
        [call("conv", does, [0], [3], kernel="w", bias="b")],
        [0],
        [3],
    )
    values = [Value("input", pictures), Value("parameter", kernel, "k"), Value("parameter", bias, "c")]
    values += [Value("call", kernel.swapaxes(0, 1)), Value("call", product), Value("call", product + bias)]
    calls = [
        call("own", kinds.Transposition(axes=(1, 0, 2, 3)), [1], [3]),
        call("own", kinds.Opaque(function="Conv2D"), [0, 3], [4]),
        call("own", kinds.Arithmetic(function="add"), [4, 2], [5]),
    ]
    (cause, *_) = causes_between(a, Trace(values, calls, [0], [5]))
    assert (cause.kind, cause.path_a, cause.path_b) == ("transposed kernel", "conv", "own")
    assert cause.after < 1e-12


class Counted(NumpyGraph):
    evaluations = 0

    def trace(self, *args, **named):
        self.evaluations += 1
        return super().trace(*args, **named)


def test_after_a_mistake_in_several_calls_everything_that_follows_is_right():
    """The wrong value also enters a sum that comes after the next layer."""
    add, multiply = kinds.Arithmetic(function="add"), kinds.Arithmetic(function="multiply")
    first, second = {"kernel": array(4, 4)}, {"kernel": array(4, 3)}

    def followed(y, *calls):
        return Counted(
            *calls,
            ("", add, [y, 0], {}),
            ("first", kinds.Linear(), [y + 1], first),
            ("", add, [y + 2, y + 1], {}),
            ("second", kinds.Linear(), [y + 3], second),
        )

    a = followed(1, ("gelu", kinds.Activation(function="gelu"), [0], {}))
    gate = ("own", lambda x: 1 / (1 + np.exp(-1.702 * x)), [0], {})
    b = followed(2, gate, ("own", multiply, [0, 1], {}))
    inputs = [array(5, 4)]
    trace_a, trace_b = (side.trace(inputs, training=False) for side in (a, b))
    (cause,) = walk(b, trace_a, trace_b, inputs, match(trace_a, trace_b), training=False)
    assert (cause.kind, cause.a, cause.b, cause.path_b) == ("activation", "gelu", "quick_gelu", "own")
    assert b.evaluations == 2  # the one above, and one with what is right in place of the mistake
