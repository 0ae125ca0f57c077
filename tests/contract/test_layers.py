"""Shapes, parameters, state, FLOPs and names that follow from layers and trees of them, and their JSON."""

import hashlib

import msgspec
import pytest

from harness.layers import (
    Activation,
    AveragePool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePool,
    LayerNorm,
    MaxPool2D,
    Parameter,
    PositionEmbedding,
    Residual,
    SelfAttention,
    Skip,
    Unembedding,
    UpSample2D,
)
from harness.network import Network
from harness.spec.task import Adam, Penalty, RmsProp, Sgd, Task
from harness_tasks.cnn import CNN
from harness_tasks.lm import LM
from harness_tasks.resnet import RESNET

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


# Networks as trees: paths, shapes, parameters and state, and one clear line for what does not fit.


BLOCK = Residual(
    (Conv2D(8, 3, strides=2, padding=1, bias=False), BatchNorm(), Activation("relu")),
    (Conv2D(8, 1, strides=2, bias=False),),
)


def _transformer(steps=6, width=8, **attention):
    return Network(
        (steps,),
        (
            Embedding(5, width),
            PositionEmbedding(6),
            Residual((LayerNorm(), SelfAttention(2, **attention))),
            Unembedding(5),
        ),
    )


def test_layers_are_named_by_their_path():
    network = Network((8, 8, 3), (BLOCK, BLOCK, GlobalAveragePool(), Dense(2)))
    assert [place.name for place in network.placed()] == [
        "residual_1",
        "residual_2",
        "global_average_pool_1",
        "dense_1",
    ]
    assert [place.name for place in network.leaves()][4:9] == [
        "residual_2/body/conv2d_1",
        "residual_2/body/batch_norm_1",
        "residual_2/body/activation_1",
        "residual_2/shortcut/conv2d_1",
        "global_average_pool_1",
    ]
    assert list(network.parameters())[:4] == [
        "residual_1/body/conv2d_1/kernel",
        "residual_1/body/batch_norm_1/scale",
        "residual_1/body/batch_norm_1/bias",
        "residual_1/shortcut/conv2d_1/kernel",
    ]
    assert list(network.state()) == [
        "residual_1/body/batch_norm_1/running_mean",
        "residual_1/body/batch_norm_1/running_variance",
        "residual_2/body/batch_norm_1/running_mean",
        "residual_2/body/batch_norm_1/running_variance",
    ]


def test_shapes_follow_through_a_u_net():
    inner = Skip((MaxPool2D(2), Conv2D(6, 3, padding="same"), UpSample2D(2)))
    outer = Skip((MaxPool2D(2), inner, UpSample2D(2)))
    network = Network((8, 12, 3), (outer, Conv2D(1, 1)))
    (place, _) = network.placed()
    assert place.output_shape == (8, 12, 3 + (3 + 6))
    assert place.branches["body"][1].input_shape == (4, 6, 3)
    assert network.output_shape() == (8, 12, 1)


def test_the_figures_of_a_published_network():
    """He et al. (2016), table 6: 0.85 million parameters of ResNet-56."""
    assert RESNET.define(RESNET.options(depth=56)).networks["model"].parameter_count() == 855_770


def test_flops_of_attention_by_hand():
    layer = SelfAttention(2)
    products = 6 * 8 * 24 + 6 * 8 * 8  # queries, keys and values; the way out
    heads = 2 * (2 * 6 * 6 * 4)  # for each head the scores and the weighted sum
    assert layer.forward_flops((6, 8)) == 2 * (products + heads)
    assert Unembedding(5).forward_flops((6, 8)) == 2 * 6 * 8 * 5


def test_padding_by_a_number_is_on_both_sides():
    assert Conv2D(4, 3, strides=2, padding=1).output_shape((32, 33, 3)) == (16, 17, 4)
    assert Conv2D(4, 3, strides=2, padding="same").same_padding(32) == (0, 1)
    assert Conv2D(4, 3, strides=2, padding=1).same_padding(32) == (1, 1)
    assert Conv1D(4, 3, strides=2, padding="same").output_shape((9, 2)) == (5, 4)
    assert Conv1D(4, 4).output_shape((9, 2)) == (6, 4)
    assert AveragePool2D(3).output_shape((9, 14, 2)) == (3, 4, 2)


def test_a_tree_survives_its_json():
    for network in (Network((8, 8, 3), (Skip((BLOCK, UpSample2D(2))),)), _transformer(causal=True)):
        assert msgspec.json.decode(msgspec.json.encode(network), type=Network) == network


def test_only_a_network_that_begins_with_an_embedding_takes_tokens():
    assert _transformer().vocabulary() == 5
    assert Network((4,), (Dense(3),)).vocabulary() is None


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            Network((8, 8, 3), (Dropout(0.1), Residual((Conv2D(4, 3),)))),
            "its body makes (6, 6, 4) of (8, 8, 3) and its shortcut (8, 8, 3); both must be equal",
        ),
        (
            Network((7, 7, 2), (Residual((Skip((MaxPool2D(2), UpSample2D(2))),)),)),
            "residual_1/body/skip_1 does not fit its input: its body makes (6, 6, 2) of (7, 7, 2)",
        ),
        (_transformer(width=9), "residual_1/body/self_attention_1 does not fit its input: 2 heads do not"),
        (_transformer(steps=7), "a sequence of 7 steps is longer than its context of 6"),
        (
            _transformer(dropout=1.0),
            "rate of residual_1/body/self_attention_1 must be at least 0 and below 1",
        ),
        (Network((4,), (Dense(3), Embedding(5, 2))), "embedding_1 must be the first layer"),
        (
            Network((4,), (Embedding(5, 2), Unembedding(6))),
            "unembedding_1 needs an embedding named embedding_1 with a table of 6 by 2",
        ),
        (Network((4, 4, 1), (Residual(()),)), "the body of residual_1 has no layer"),
        (
            Network((4, 4, 1), (AveragePool2D(5),)),
            "output of average_pool2d_1 would have shape (0, 0, 1)",
        ),
        (Network((4,), (GlobalAveragePool(),)), "there is no axis to average over in (4,)"),
        (Network((4,), (BatchNorm(epsilon=0.0),)), "epsilon of batch_norm_1 must be above 0, not 0.0"),
    ],
)
def test_what_does_not_fit_is_named_by_its_path(network, message):
    with pytest.raises(ValueError, match=r".") as raised:
        network.placed()
    assert message in str(raised.value)


def test_weight_decay_covers_tables_only_where_the_task_says_so():
    task = LM.define(LM.options())
    decayed = {name for name in task.parameters() if task.is_decayed(name)}
    assert "model/embedding_1/table" in decayed
    assert "model/residual_1/body/self_attention_1/qkv_kernel" in decayed
    assert not any(name.endswith(("bias", "scale")) for name in decayed)
    plain = msgspec.structs.replace(task, decay_embeddings=False)
    assert not plain.is_decayed("model/embedding_1/table")
