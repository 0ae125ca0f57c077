"""Sides of PyTorch: overrides, running statistics, gradients, training steps, outputs, errors."""

import copy
import gc
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from support.torch_modules import PICTURE, SEQUENCE, TOKENS, VECTOR, Of, function  # noqa: E402
from support.torch_sides import inputs_of, opaque, output, prepared, side_of  # noqa: E402
from torch import nn  # noqa: E402

from harness.errors import UsageError  # noqa: E402
from harness.tracing import semantics as kinds  # noqa: E402
from harness.tracing.calls import InputShape  # noqa: E402
from harness.tracing.side import RATED_STEPS, Override, OwnTraining  # noqa: E402
from harness_torch import port  # noqa: E402
from harness_torch.port.recorder import Recorder  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def _as_in_a_side():
    with prepared():
        yield


def network():
    return nn.Sequential(
        nn.Conv2d(4, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(147, 5)
    )


def test_override_of_an_output_in_place_replaces_what_follows():
    side = side_of(network(), PICTURE)
    inputs = inputs_of(PICTURE)
    trace = side.trace(inputs, training=False)
    relu = next(place for place, call in enumerate(trace.calls) if isinstance(call.does, kinds.Activation))
    array = np.random.default_rng(0).standard_normal(trace.values[trace.calls[relu].outputs[0]].array.shape)
    mended = side.trace(inputs, training=False, overrides=[Override(relu, 0, array)])
    assert [call.does for call in mended.calls] == [call.does for call in trace.calls]
    weights = side.parameters()
    np.testing.assert_allclose(
        output(mended), array.reshape(len(array), -1) @ weights["4.weight"].T + weights["4.bias"], 1e-12
    )
    np.testing.assert_array_equal(output(side.trace(inputs, training=False)), output(trace))


def test_override_of_one_of_two_equal_inputs_replaces_it_alone():
    side = side_of(function(lambda x: torch.sub(x * 3, 0 * x) - (x := x * 1) + torch.add(x, x)), VECTOR)
    inputs = inputs_of(VECTOR)
    last = len(side.trace(inputs, training=False).calls) - 2
    zeros = np.zeros_like(inputs[0])
    mended = side.trace(inputs, training=False, overrides=[Override(last, 1, zeros, "input")])
    np.testing.assert_allclose(output(mended), 3 * inputs[0] - inputs[0] + inputs[0], 1e-12)


def test_running_statistics_are_reported_and_put_back():
    side = side_of(network(), PICTURE)
    before = side.parameters()
    inputs = inputs_of(PICTURE)
    assert side.trace(inputs, training=False).state_after == {}
    trace = side.trace(inputs, training=True)
    assert trace.state_after.keys() == {"1.running_mean", "1.running_var"}
    normalised = next(call for call in trace.calls if isinstance(call.does, kinds.BatchNormalization))
    mean = trace.values[normalised.inputs[0]].array.mean((0, 2, 3))
    np.testing.assert_allclose(
        trace.state_after["1.running_mean"], 0.9 * before["1.running_mean"] + 0.1 * mean, 1e-12
    )
    stored = {value.name: value.array for value in trace.values if value.source == "parameter"}
    np.testing.assert_array_equal(stored["1.running_mean"], before["1.running_mean"])
    np.testing.assert_array_equal(side.parameters()["1.running_mean"], before["1.running_mean"])


def test_gradients_are_those_of_the_averaged_cross_entropy():
    side = side_of(network(), PICTURE)
    inputs, targets = inputs_of(PICTURE), np.array([0, 4, 2])
    found = side.gradients(inputs, targets, "cross-entropy")
    assert found.parameters.keys() == side.trained()
    assert found.inputs[0].shape == inputs[0].shape
    step = 1e-6
    for shift in (found.inputs[0], -found.inputs[0]):
        moved = side.gradients([inputs[0] + step * shift], targets, "cross-entropy").loss - found.loss
        np.testing.assert_allclose(moved, step * np.vdot(found.inputs[0], shift), 1e-3)
    bias = side.parameters()["4.bias"]
    side.load({"4.bias": bias + step * found.parameters["4.bias"]})
    moved = side.gradients(inputs, targets, "cross-entropy").loss - found.loss
    np.testing.assert_allclose(moved, step * np.sum(found.parameters["4.bias"] ** 2), 1e-3)


def test_positions_have_their_classes_on_the_last_axis():
    side = side_of(nn.Sequential(nn.Embedding(11, 4), nn.Dropout(0.5), nn.Linear(4, 11)), TOKENS)
    inputs = inputs_of(TOKENS)
    found = side.gradients(inputs, inputs[0], "cross-entropy")
    logits = output(side.trace(inputs, training=True))
    shifted = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, inputs[0][..., None], -1)[..., 0]
    np.testing.assert_allclose(found.loss, shifted.mean(), 1e-12)
    assert found.inputs == []


def test_training_without_an_optimizer_is_plain_descent_and_leaves_the_side_as_it_was():
    side = side_of(nn.Linear(6, 2), VECTOR)
    inputs, targets = inputs_of(VECTOR), np.ones((3, 2))
    before = side.parameters()
    gradients = side.gradients(inputs, targets, "mse")
    trained = side.train([(inputs, targets)] * 2, "mse")
    assert trained.losses[0] == gradients.loss > trained.losses[1]
    once = side.train([(inputs, targets)], "mse")
    for name, array in once.parameters.items():
        np.testing.assert_allclose(array, before[name] - 0.01 * gradients.parameters[name], 1e-12)
        np.testing.assert_array_equal(side.parameters()[name], before[name])
    assert side.updates() is None


@pytest.mark.parametrize(
    ("make", "fields"),
    [
        (
            lambda p: torch.optim.SGD(p, 0.1, 0.9, nesterov=True, weight_decay=0.01),
            {"rule": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "decay_coupled": True},
        ),
        (
            lambda p: torch.optim.Adam(p, 0.01, (0.8, 0.9), eps=1e-7, weight_decay=0.1),
            {"rule": "adam", "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-7, "decay_coupled": True},
        ),
        (torch.optim.AdamW, {"rule": "adam", "decay": 0.01, "decay_coupled": False}),
        (torch.optim.RMSprop, {"rule": "rmsprop", "beta_2": 0.99, "momentum": 0.0}),
        (lambda p: torch.optim.Adagrad(p, 0.3), {"rule": "unknown", "learning_rate": 0.3}),
    ],
)
def test_the_rule_of_an_optimizer_is_read(make, fields):
    updates = side_of(nn.Linear(6, 2), VECTOR, OwnTraining(make)).updates()
    assert updates.keys() == {"weight", "bias"}
    for update in updates.values():
        assert {name: getattr(update, name) for name in fields} == fields


def test_the_rule_of_each_parameter_is_that_of_its_group():
    def make(parameters):
        weight, bias, *_ = parameters
        groups = [{"params": [weight], "weight_decay": 0.1}, {"params": [bias], "lr": 0.2}]
        optimizer = torch.optim.SGD(groups, lr=0.1)
        return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 60)

    module = nn.Sequential(nn.Linear(6, 2), nn.Linear(2, 2))
    module[1].weight.requires_grad = False
    updates = side_of(module, VECTOR, OwnTraining(make)).updates()
    assert updates.keys() == {"0.weight", "0.bias", "1.bias"}
    assert [updates[name].decay for name in updates] == [0.1, 0.0, None]
    assert updates["1.bias"].rule == "none"
    late = RATED_STEPS.index(60)
    rates = [(updates[name].rates[late - 1], updates[name].rates[late]) for name in ("0.weight", "0.bias")]
    np.testing.assert_allclose(rates, [(0.1, 0.01), (0.2, 0.02)])


def test_a_schedule_of_fixed_length_has_rates_up_to_its_end():
    def make(parameters):
        optimizer = torch.optim.SGD(parameters, lr=0.1)
        return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=30)

    update = side_of(nn.Linear(6, 2), VECTOR, OwnTraining(make)).updates()["weight"]
    assert len(update.rates) == sum(step <= 30 for step in RATED_STEPS)


def test_a_schedule_or_an_optimizer_of_ones_own_may_end_or_refuse_steps():
    rates = [0.1] * 25

    class Refusing(torch.optim.SGD):
        def step(self):
            raise AttributeError("no gradient")

    def make(kind, parameters):
        optimizer = kind(parameters, lr=1.0)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, rates.__getitem__)

    for kind, rule, count in ((torch.optim.SGD, "sgd", 21), (Refusing, "unknown", 0)):
        own = OwnTraining(lambda parameters, kind=kind: make(kind, parameters))
        update = side_of(nn.Linear(6, 2), VECTOR, own).updates()["weight"]
        assert (update.rule, len(update.rates)) == (rule, count)


def test_held_numbers_have_no_gradient():
    side = side_of(nn.Linear(6, 2), VECTOR)
    inputs, targets = inputs_of(VECTOR), np.ones((3, 2))
    before = side.parameters()["bias"]
    held = {"bias": np.array([True, False])}
    after = side.train([(inputs, targets)], "mse", held=held).parameters["bias"]
    assert (after != before).tolist() == [False, True]


def test_training_uses_the_own_optimizer_and_loss():
    own = OwnTraining(lambda p: torch.optim.Adam(p, 0.1), lambda: nn.MSELoss(reduction="sum"))
    module = nn.Linear(6, 2)
    side = side_of(module, VECTOR, own)
    inputs, targets = inputs_of(VECTOR), np.ones((3, 2))
    twin = copy.deepcopy(module)
    optimizer = torch.optim.Adam(twin.parameters(), 0.1)
    loss = nn.MSELoss(reduction="sum")(twin(torch.from_numpy(inputs[0])), torch.from_numpy(targets))
    loss.backward()
    optimizer.step()
    trained = side.train([(inputs, targets)], "mse")
    assert trained.losses == [loss.item()]
    np.testing.assert_allclose(trained.parameters["weight"], twin.weight.detach().numpy(), 1e-12)


class Pair(NamedTuple):
    first: object
    second: object


@dataclass
class Result:
    logits: object
    hidden: object = None


@pytest.mark.parametrize(
    ("wrap", "names"),
    [
        (lambda x: x, [""]),
        (lambda x: (x, [x + 1, None]), ["0", "1.0"]),
        (lambda x: {"a": x, "b": (x + 1, 3)}, ["a", "b.0"]),
        (lambda x: Pair(x, x + 1), ["first", "second"]),
        (lambda x: Result(x, {"deep": x + 1}), ["logits", "hidden.deep"]),
    ],
)
def test_outputs_are_named_by_position_key_or_field(wrap, names):
    trace = side_of(function(lambda x: wrap(x * 2)), VECTOR).trace(inputs_of(VECTOR), training=False)
    assert [trace.values[place].name for place in trace.outputs] == names


def test_layouts_are_those_with_which_the_model_can_be_evaluated():
    shapes = [*PICTURE, *SEQUENCE, *TOKENS]
    module = Of(
        lambda m, x, y, z: m.modules_[0](x).mean() + m.modules_[1](y).mean() + z.sum(),
        [nn.Conv2d(4, 1, 3), nn.Conv1d(6, 1, 3)],
    )
    side = side_of(module, shapes)
    assert side.input_layouts == (True, True, None)
    assert side_of(nn.Linear(4, 3), PICTURE).input_layouts == (False,)


def test_pictures_come_out_channels_last():
    trace = side_of(nn.Conv2d(4, 7, 3), PICTURE).trace(inputs_of(PICTURE), training=False)
    assert output(trace).shape == (3, 7, 7, 7)
    assert trace.values[trace.inputs[0]].array.shape == (3, 9, 9, 4)
    wide = side_of(nn.Conv2d(4, 2, 3), PICTURE).trace(inputs_of(PICTURE), training=False)
    assert output(wide).shape == (3, 7, 7, 2)


def test_wrong_inputs_are_an_error_of_use():
    with pytest.raises(UsageError, match="cannot be evaluated with inputs 2x5: RuntimeError"):
        port.make_side(nn.Linear(6, 2), [InputShape((5,))], OwnTraining())


def test_layers_of_keras_are_not_claimed():
    assert port.claims(nn.Linear(6, 2))
    assert not port.claims(object())
    layer = type("Layer", (nn.Linear,), {"__module__": "keras.src.layers"})
    assert not port.claims(layer(6, 2))


def test_branches_that_are_dropped_at_random_are_kept():
    class DropPath(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop_prob = 0.25

        def forward(self, x):
            return x * torch.bernoulli(torch.full((len(x), 1), 0.75)) / 0.75

    side = side_of(nn.Sequential(nn.Linear(6, 6), DropPath()), VECTOR)
    trace = side.trace(inputs_of(VECTOR), training=True)
    assert trace.calls[-1].does == kinds.Dropout(rate=0.25, active=True)
    assert np.array_equal(output(trace), output(side.trace(inputs_of(VECTOR), training=False)))
    losses = {side.gradients(inputs_of(VECTOR), np.ones((3, 6)), "mse").loss for _ in range(3)}
    assert len(losses) == 1


def test_dropout_inside_of_attention_is_a_call_of_its_own():
    attention = nn.MultiheadAttention(6, 2, dropout=0.25, batch_first=True)
    module = Of(lambda m, x: m.modules_[0](x, x, x, key_padding_mask=x[..., 0] > 1)[0], [attention])
    side = side_of(module, SEQUENCE)
    for training in (False, True):
        trace = side.trace(inputs_of(SEQUENCE), training=training)
        dropped = [call.does for call in trace.calls if isinstance(call.does, kinds.Dropout)]
        assert dropped == [kinds.Dropout(rate=0.25, active=True)] * training


def test_a_call_that_is_not_known_is_opaque_and_so_is_a_compiled_module():
    side = side_of(function(lambda x: torch.cumsum(x, 1) + torch.erf(x)), VECTOR)
    trace = side.trace(inputs_of(VECTOR), training=False)
    assert opaque(trace) == ["torch.cumsum", "torch.erf"]


def test_constants_are_not_calls():
    module = function(
        lambda x: x + torch.arange(6.0).mul(2) + torch.zeros_like(x) + torch.triu(torch.ones(6, 6))[0]
    )
    trace = side_of(module, VECTOR).trace(inputs_of(VECTOR), training=False)
    assert [call.does for call in trace.calls] == [kinds.Arithmetic(function="add")] * 3
    assert [trace.values[call.inputs[1]].source for call in trace.calls] == ["constant"] * 3


def test_frozen_statistics_of_torchvision_are_parameters():
    ops = pytest.importorskip("torchvision").ops
    side = side_of(ops.FrozenBatchNorm2d(4), PICTURE)
    trace = side.trace(inputs_of(PICTURE), training=True)
    normalised = trace.calls[1]
    assert normalised.does == kinds.BatchNormalization(
        epsilon=1e-5, momentum=0.1, unbiased_running_variance=True, channels_first=True
    )
    names = {role: stored.name for role, stored in normalised.parameters.items()}
    assert names["scale"] == "weight"
    assert names["running_variance"] == "running_var"
    assert side.trained() == set()


@pytest.mark.filterwarnings("ignore:`torch.jit.trace")
def test_what_torch_does_not_show_is_an_opaque_call_of_what_enters_it():
    scripted = torch.jit.trace(lambda x: x * 2 + 1, torch.ones(3, 6))
    trace = side_of(function(lambda x: scripted(x * 3)), VECTOR).trace(inputs_of(VECTOR), training=False)
    assert len(opaque(trace)) == 1
    assert trace.calls[-1].inputs == trace.calls[0].outputs
    module = torch.jit.trace(nn.Linear(6, 2).double(), torch.ones(3, 6, dtype=torch.float64))
    trace = side_of(module, VECTOR).trace(inputs_of(VECTOR), training=False)
    assert opaque(trace) == ["TorchScript Linear"]
    each = nn.Linear(6, 2)
    side = side_of(Of(lambda m, x: torch.func.vmap(m.modules_[0])(x), [each]), VECTOR)
    assert opaque(side.trace(inputs_of(VECTOR), training=False)) == ["functions that torch does not show"]


def test_lazy_modules_are_made_by_the_first_evaluation():
    side = side_of(nn.Sequential(nn.LazyLinear(5), nn.LazyBatchNorm1d()), VECTOR)
    assert side.parameters()["0.weight"].shape == (5, 6)
    assert side.trace(inputs_of(VECTOR), training=True).state_after.keys() == {
        "1.running_mean",
        "1.running_var",
    }


def test_a_trace_leaves_nothing_behind_that_holds_tensors():
    side = side_of(nn.Conv2d(4, 7, 3), PICTURE)
    gc.collect()
    gc.disable()
    try:
        side.trace(inputs_of(PICTURE), training=False)
        assert not any(type(each) is Recorder for each in gc.get_objects())
    finally:
        gc.enable()
