"""Shapes, parameters, FLOPs and names that follow from layers, and the JSON of a task."""

import hashlib

import msgspec
import pytest

from harness.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, Parameter
from harness.network import Network
from harness.spec.task import Adam, Penalty, RmsProp, Sgd, Task
from harness_tasks.cnn import CNN

CNN_TASK = CNN.define(CNN.options())
CNN_NETWORK = CNN_TASK.networks["model"]


def _json(task):
    return msgspec.json.encode(task, order="deterministic")


def test_shapes_of_the_cnn():
    shapes = [place.input_shape for place in CNN_NETWORK.placed()]
    assert shapes == [(32, 32, 3), (30, 30, 32), (15, 15, 32), (13, 13, 64), (6, 6, 64), (2304,), (128,)]
    assert CNN_NETWORK.output_shape() == (10,)


def test_layers_are_named_by_kind_and_number():
    names = [place.name for place in CNN_NETWORK.placed()]
    assert names == [
        "conv2d_1",
        "max_pool2d_1",
        "conv2d_2",
        "max_pool2d_2",
        "flatten_1",
        "dense_1",
        "dense_2",
    ]


def test_parameters_of_the_cnn_in_canonical_layout():
    shapes = {name: parameter.shape for name, parameter in CNN_TASK.parameters().items()}
    assert list(shapes.items()) == [
        ("model/conv2d_1/kernel", (3, 3, 3, 32)),
        ("model/conv2d_1/bias", (32,)),
        ("model/conv2d_2/kernel", (3, 3, 32, 64)),
        ("model/conv2d_2/bias", (64,)),
        ("model/dense_1/kernel", (2304, 128)),
        ("model/dense_1/bias", (128,)),
        ("model/dense_2/kernel", (128, 10)),
        ("model/dense_2/bias", (10,)),
    ]
    assert CNN_NETWORK.parameter_count() == 315_722


def test_flops_are_two_a_multiply_add():
    first = 2 * (30 * 30 * 32) * (3 * 3 * 3)
    second = 2 * (13 * 13 * 64) * (3 * 3 * 32)
    dense = 2 * (2304 * 128 + 128 * 10)
    assert CNN_NETWORK.forward_flops() == first + second + dense == 8_377_600


def test_height_and_width_are_not_mixed_up():
    network = Network((9, 14, 2), (Conv2D(5, 2), MaxPool2D(3), Dropout(0.5), Flatten(), Dense(4)))
    shapes = [place.input_shape for place in network.placed()]
    assert shapes == [(9, 14, 2), (8, 13, 5), (2, 4, 5), (2, 4, 5), (40,)]
    assert network.forward_flops() == 2 * (8 * 13 * 5) * (2 * 2 * 2) + 2 * 40 * 4


def test_dense_works_on_the_last_axis():
    dense = Dense(4)
    assert dense.output_shape((7, 3)) == (7, 4)
    assert dense.parameters((7, 3))["kernel"].shape == (3, 4)
    assert dense.forward_flops((7, 3)) == 2 * 7 * 3 * 4


def test_fans_count_the_connections_of_a_unit():
    convolution = Conv2D(8, 3).parameters((10, 10, 4))
    assert convolution["kernel"] == Parameter((3, 3, 4, 8), "glorot_uniform", fan_in=36, fan_out=72)
    assert Dense(5).parameters((7,))["kernel"] == Parameter((7, 5), "glorot_uniform", fan_in=7, fan_out=5)
    assert convolution["bias"].initializer == "zeros"


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((Conv2D(4, 6),), r"the output of conv2d_1 would have shape \(0, 3, 4\)"),
        ((Conv2D(4, 3), Conv2D(4, 5)), r"the output of conv2d_2 would have shape \(-1, 2, 4\)"),
        ((MaxPool2D(2), MaxPool2D(4)), r"the output of max_pool2d_2 would have shape \(0, 1, 1\)"),
    ],
)
def test_an_empty_output_is_refused_and_its_layer_named(layers, message):
    with pytest.raises(ValueError, match=message):
        Network((5, 8, 1), layers).placed()


@pytest.mark.parametrize(
    "optimizer", [Sgd(0.1, 0.9, nesterov=True), Adam(0.1, epsilon=0.5), RmsProp(0.1, 0.5)]
)
def test_a_task_survives_json(optimizer):
    task = msgspec.structs.replace(
        CNN.define(CNN.options(width=0.5, dropout=0.25)), optimizer=optimizer, penalty=Penalty(0.25, 0.5)
    )
    again = msgspec.json.decode(_json(task), type=Task)
    assert again == task
    assert _json(again) == _json(task)
    assert again.parameters() == task.parameters()


def test_the_description_of_the_cnn_keeps_its_sha():
    # Records are compared by it; where this changes on purpose, the task's version goes up.
    assert hashlib.sha256(_json(CNN_TASK)).hexdigest() == (
        "9693e48edb19fd4a3d3936ba546134a877ced60bd90bfdc5cd0fb92cf1aa84d6"
    )
