"""The tasks that come with the harness: their networks, options and data sets."""

import json

import msgspec
import numpy as np
import pytest

from harness.core.plugins import registry
from harness.core.plugins.options import describe_options, parse_options
from harness.core.training.fitted import fitted
from harness.errors import UsageError
from harness.layers import GRU, LSTM, Dropout, SelfAttention
from harness.spec.task import (
    Adam,
    Adversarial,
    Augmentation,
    BinaryClassification,
    Classification,
    Imbalance,
    Penalty,
    Regression,
    RmsProp,
    Sgd,
    Task,
)
from harness_tasks import TASKS
from harness_tasks.datasets import SOURCES

CLASSIFIERS = ("cnn", "mlp", "resnet", "rnn", "tabular")
ON_IMAGES = ("cnn", "gan", "resnet")
#: A loss that is not the default, of tasks that are no classifiers of several classes.
LOSS_OF = {"tabular": "mse_sigmoid", "forecast": "huber"}


def _define(task, *assignments):
    """Without the checks of a command line."""
    return TASKS[task].define(parse_options(TASKS[task], assignments))


def _json(task):
    return msgspec.json.encode(task, order="deterministic")


def test_every_task_is_found_by_its_entry_point():
    assert set(TASKS) == {"cnn", "forecast", "gan", "lm", "mlp", "resnet", "rnn", "tabular"}
    for name, definition in TASKS.items():
        assert registry.task(name) is definition
        assert definition.define(definition.options()).name == name


@pytest.mark.parametrize(
    ("task", "network", "parameters"),
    [
        ("cnn", "model", 315_722),
        ("mlp", "model", 15_210),
        ("rnn", "model", 5_134),
        ("resnet", "model", 272_474),  # He et al. (2016), table 6: 0.27 million
        ("lm", "model", 809_856),  # nanoGPT at four layers, four heads, 128 wide, with biases and tied tables
        ("tabular", "model", 1_537),
        ("forecast", "model", 4 * 32 * (1 + 32) + 4 * 32 + 32 * 4 + 4),
        (
            "gan",
            "generator",
            64 * 2048 + 2048 + 16 * (128 * 64 + 64 * 32 + 32 * 16) + 64 + 32 + 16 + 25 * 16 * 3 + 3,
        ),
        ("gan", "discriminator", 16 * (3 * 32 + 32 * 64 + 64 * 128) + 32 + 64 + 128 + 2048 + 1),
    ],
)
def test_parameter_counts(task, network, parameters):
    assert _define(task).networks[network].parameter_count() == parameters


@pytest.mark.parametrize("task", sorted(TASKS))
def test_networks_fit_the_data_sets(task):
    defined = _define(task)
    for name in TASKS[task].datasets:
        if name in ("cifar10", "tinyshakespeare"):  # need a download; their substitutes have the same shape
            continue
        dataset = SOURCES[name].load()
        shape = dataset.train.inputs.shape[1:]
        if isinstance(defined.objective, Adversarial):
            assert defined.networks["generator"].input_shape == (defined.objective.latent_size,)
            assert defined.networks["generator"].output_shape() == shape
            assert defined.networks["discriminator"].input_shape == shape
            assert defined.networks["discriminator"].output_shape() == (1,)
        else:
            model = defined.networks["model"]
            outputs = len(dataset.classes) or dataset.train.targets.shape[1]
            outputs = 1 if isinstance(defined.objective, BinaryClassification) else outputs
            positions = shape if defined.takes_tokens() else ()
            assert (model.input_shape, model.output_shape()) == (shape, (*positions, outputs))
            assert fitted(dataset, defined).train.targets.dtype.kind in "if"


@pytest.mark.parametrize(
    ("task", "optimizer", "batch_size"),
    [
        ("cnn", Sgd(0.01), 64),
        ("mlp", Adam(0.01), 100),
        ("rnn", Adam(0.01), 100),
        ("forecast", Adam(0.002), 16),
        ("gan", Adam(1e-3, beta_1=0.5), 64),
        ("resnet", Sgd(0.1, 0.9), 128),
        ("lm", Adam(1e-3, beta_2=0.99, epsilon=1e-8), 12),
        ("tabular", Adam(1e-3), 32),
    ],
)
def test_how_each_is_trained_by_default(task, optimizer, batch_size):
    assert (_define(task).optimizer, _define(task).batch_size) == (optimizer, batch_size)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_every_optimizer_fits_every_task(task):
    rate = "learning_rate=0.25"
    momentum = [rate, "optimizer=sgd", "momentum=0.5", "nesterov=true"]
    assert _define(task, *momentum).optimizer == Sgd(0.25, 0.5, nesterov=True)
    adam = _define(task, rate, "optimizer=adam", "beta_1=0.25").optimizer
    assert isinstance(adam, Adam)
    assert (adam.learning_rate, adam.beta_1) == (0.25, 0.25)
    assert _define(task, rate, "optimizer=rmsprop").optimizer == RmsProp(0.25)
    full_batch = _define(task, rate, "optimizer=gd")
    momentum = TASKS[task].options().momentum
    assert (full_batch.optimizer, full_batch.batch_size) == (Sgd(0.25, momentum), None)


CONTRADICTIONS = [
    ("optimizer=adam momentum=0.5", "momentum and nesterov belong to optimizer=sgd, not to adam", TASKS),
    ("optimizer=gd momentum=0.5", "momentum and nesterov belong to optimizer=sgd, not to gd", TASKS),
    ("optimizer=sgd momentum=0 nesterov=true", "nesterov=true needs a momentum above 0", TASKS),
    ("optimizer=sgd beta_1=0.25", "beta_1 belongs to optimizer=adam, not to sgd", TASKS),
    ("optimizer=gd beta_1=0.25", "beta_1 belongs to optimizer=adam, not to gd", TASKS),
    ("learning_rate=0.5 weight_decay=2", "learning_rate times weight_decay must be below 1", TASKS),
    ("rebalance=weights", "rebalance=weights needs an imbalance", CLASSIFIERS),
    ("loss=mse_softmax label_smoothing=0.25", "belongs to loss=cross_entropy", CLASSIFIERS[:-1]),
    ("width=0.3", "heads=4 does not divide the width of 38", ["lm"]),
    ("heads=3", "heads=3 does not divide the width of 128", ["lm"]),
]


@pytest.mark.parametrize(("options", "message", "tasks"), CONTRADICTIONS)
def test_options_that_contradict_each_other_are_refused(options, message, tasks):
    for task in tasks:
        with pytest.raises(ValueError, match=message):
            _define(task, *options.split())


def reached():
    """Options of tasks, the field that they set, and its value."""
    for task in sorted(TASKS):
        l2 = 5e-5 if task == "resnet" else 0.0
        yield task, "", "penalty", Penalty(0.0, l2)
        yield task, "l1=0.25", "penalty", Penalty(0.25, l2)
        yield task, "l1=0.25 l2=0.5", "penalty", Penalty(0.25, 0.5)
    for task in CLASSIFIERS:
        yield task, "", "imbalance", None
        yield task, "imbalance=0.25", "imbalance", Imbalance(0.25)
        yield task, "imbalance=0.25 rebalance=oversample", "imbalance", Imbalance(0.25, "oversample")
    for task in sorted({*CLASSIFIERS} - {"tabular"}):
        yield task, "", "objective", Classification()
        yield task, "label_smoothing=0.25", "objective", Classification(label_smoothing=0.25)
        yield task, "loss=mse_logits", "objective", Classification(loss="mse_logits")
    yield "tabular", "loss=mse_sigmoid", "objective", BinaryClassification(loss="mse_sigmoid")
    yield "forecast", "loss=mae", "objective", Regression("mae")
    for task in ON_IMAGES:
        yield task, "flip=false crop=0", "augmentation", Augmentation()
        yield task, "flip=true crop=0", "augmentation", Augmentation(flip=True)
        yield task, "flip=false crop=4", "augmentation", Augmentation(crop=4)


@pytest.mark.parametrize(("task", "options", "field", "value"), list(reached()))
def test_an_option_reaches_the_task(task, options, field, value):
    assert getattr(_define(task, *options.split()), field) == value


def test_only_a_residual_network_is_augmented_by_default_and_none_has_a_special_loss():
    assert [task for task in ON_IMAGES if _define(task).augmentation != Augmentation()] == ["resnet"]
    assert [_define(name).special_loss() for name in TASKS] == [None] * len(TASKS)
    assert _define("forecast", "loss=mae").special_loss() == "mae"


def test_tasks_offer_only_options_that_apply():
    def offering(option):
        return {name for name, definition in TASKS.items() if option in definition.options.__struct_fields__}

    assert offering("imbalance") == offering("rebalance") == set(CLASSIFIERS)
    assert offering("loss") == {*CLASSIFIERS, "forecast"}
    assert offering("label_smoothing") == {*CLASSIFIERS} - {"tabular"}
    assert offering("clients") == offering("local_epochs") == set(TASKS) - {"gan"}
    assert offering("dirichlet") == set(CLASSIFIERS)
    assert offering("flip") == offering("crop") == set(ON_IMAGES)
    assert offering("weight_decay") == offering("width") == offering("dropout") == set(TASKS)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_every_option_is_described_and_changes_the_task(task):
    others = {
        "learning_rate": ["learning_rate=0.5"],
        "optimizer": ["optimizer=rmsprop"],
        "momentum": ["optimizer=sgd", "momentum=0.5"],
        "nesterov": ["optimizer=sgd", "momentum=0.5", "nesterov=true"],
        "beta_1": ["optimizer=adam", "beta_1=0.25"],
        "l1": ["l1=1"],
        "l2": ["l2=1"],
        "weight_decay": ["weight_decay=1"],
        "train_fraction": ["train_fraction=0.5"],
        "width": ["width=2"],
        "dropout": ["dropout=0.5"],
        "imbalance": ["imbalance=0.1"],
        "rebalance": ["imbalance=0.1", "rebalance=weights"],
        "flip": ["flip=true"],
        "crop": ["crop=2"],
        "schedule": ["schedule=linear"],
        "warmup_steps": ["warmup_steps=7"],
        "clip_norm": ["clip_norm=0.5"],
        "depth": ["depth=32"],
        "normalization": ["normalization=group"],
        "blocks": ["blocks=2"],
        "heads": ["heads=2"],
        "loss": [f"loss={LOSS_OF.get(task, 'mse_softmax')}"],
        "label_smoothing": ["label_smoothing=0.1"],
        "clients": ["clients=2"],
        "local_epochs": ["clients=2", "local_epochs=3"],
        "dirichlet": ["clients=2", "dirichlet=0.5"],
        "dp_noise": ["dp_clip=1", "dp_noise=0.5"],
        "dp_clip": ["dp_clip=2"],
        "dp_canaries": ["dp_clip=1", "dp_canaries=10"],
        "dp_delta": ["dp_clip=1", "dp_delta=1e-6"],
    }
    others["flip"] = ["flip=false"] if task == "resnet" else others["flip"]
    rows = describe_options(TASKS[task])
    assert all(description for *_, description in rows)
    # Batch normalisation is refused with DP-SGD: see tests/core/training/test_privacy.py.
    group = ["normalization=group"] if task == "resnet" else []
    tasks = [_define(task, *others[name], *(group if name.startswith("dp_") else [])) for name, *_ in rows]
    tasks.append(_define(task))
    assert len({_json(each) for each in tasks}) == len(tasks)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_an_option_set_to_its_default_leaves_the_description_unchanged(task):
    rows = describe_options(TASKS[task])
    spelled_out = [f"{name}={json.dumps(default).strip(chr(34))}" for name, _, default, _ in rows]
    assert _json(_define(task, *spelled_out)) == _json(_define(task))


@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_task_with_everything_set_survives_json_whole(task):
    options = ["weight_decay=0.5", "l2=0.5", "width=0.5", "dropout=0.25"]
    options += ["imbalance=0.5", "rebalance=weights"] if task in CLASSIFIERS else []
    options += ["flip=true", "crop=2"] if task in ON_IMAGES else []
    defined = _define(task, *options)
    again = msgspec.json.decode(_json(defined), type=Task)
    assert again == defined
    assert _json(again) == _json(defined)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_width_scales_hidden_layers_only(task):
    for width in ("0.5", "2") if task == "lm" else ("0.001", "0.5", "2"):
        narrow, plain = _define(task, f"width={width}").networks, _define(task).networks
        for name, network in narrow.items():
            assert network.input_shape == plain[name].input_shape
            assert network.output_shape() == plain[name].output_shape()
            ours, theirs = network.parameter_count(), plain[name].parameter_count()
            assert (ours < theirs) == (float(width) < 1)
            assert ours != theirs


def test_dropout_is_before_the_last_layer():
    for task in sorted(set(TASKS) - {"lm"}):
        networks = _define(task, "dropout=0.25").networks
        network = networks["discriminator" if task == "gan" else "model"]
        assert network.layers[-2] == Dropout(0.25)
    assert _define("gan", "dropout=0.25").networks["generator"] == _define("gan").networks["generator"]


def test_dropout_of_the_transformer_is_at_its_usual_places():
    plain, dropped = (list(_define("lm", f"dropout={rate}").networks["model"].leaves()) for rate in (0, 0.25))
    kinds = [type(place.layer).__name__ for place in dropped]
    assert kinds[:3] == ["Embedding", "PositionEmbedding", "Dropout"]
    assert kinds[3:9] == ["LayerNorm", "SelfAttention", "Dropout", "LayerNorm", "Dense", "Dense"]
    assert kinds[9] == "Dropout"
    assert len(dropped) - len(plain) == 1 + 2 * 4
    assert {place.layer.dropout for place in dropped if isinstance(place.layer, SelfAttention)} == {0.25}


def test_the_depth_of_a_residual_network_counts_its_layers_with_a_kernel():
    for depth in (8, 20, 32, 56):
        places = _define("resnet", f"depth={depth}").networks["model"].leaves()
        kernels = [place for place in places if "kernel" in place.layer.parameters(place.input_shape)]
        assert len([place for place in kernels if "/shortcut/" not in place.name]) == depth
    with pytest.raises(UsageError, match="depth"):
        _define("resnet", "depth=21")


def test_recurrent_networks_are_the_ones_that_are_published():
    assert _define("rnn").networks["model"].layers[0] == GRU(6, bidirectional=True, return_sequences=True)
    assert _define("forecast").networks["model"].layers[0] == LSTM(32)


@pytest.mark.slow
def test_the_forecast_beats_the_naive_one(harness):
    words = ("--task", "forecast", "--threads", "1", "--quiet", "--no-certify")
    record, _ = harness.recorded("ok", "run", "--backend", "torch", *words)
    test = SOURCES["sunspots"].load().test
    same_as_last = np.mean((test.targets - test.inputs[:, -1]) ** 2)
    last_year_known = np.mean((test.targets[:, 0] - test.inputs[:, -1, 0]) ** 2)
    # Better over four years than the naive forecast is over the first of them.
    assert record["test_at_last"]["loss"] < 1.3 * last_year_known < 0.5 * same_as_last
