"""Mistakes in task definitions are reported in one line, when the task is loaded or defined."""

import enum
import math
import subprocess
import sys
from typing import Annotated, Literal

import msgspec
import numpy as np
import pytest

from harness.errors import PluginError, UsageError
from harness.layers import Conv2D, Dense, Dropout, Flatten, Reshape
from harness.network import Network
from harness.plugins.definition import check, define_task
from harness.reference.training import NumpyBackend
from harness.spec.task import (
    Adversarial,
    Augmentation,
    Classification,
    Imbalance,
    Preset,
    Regression,
    Sgd,
    Task,
    TaskDefinition,
)

TASK = Task(
    name="mine",
    version=1,
    networks={"model": Network((4, 1), (Flatten(), Dense(3)))},
    objective=Classification(),
    optimizer=Sgd(0.1),
    batch_size=4,
    epochs=1,
)


def definition(options=(), made=TASK, **fields):
    """A task with options, each a name, a type and maybe a default, whose ``define`` gives ``made``."""
    declared = msgspec.defstruct("Options", list(options), frozen=True)
    given = {"name": "mine", "summary": "", "datasets": ("digits",), "options": declared}
    return TaskDefinition(define=lambda _: made, **given | fields)


def changed(**fields):
    return msgspec.structs.replace(TASK, **fields)


def with_layers(*layers):
    return changed(networks={"model": Network((4, 1), (Flatten(), *layers))})


def game(latents=4, judged=(2, 3, 1), outputs=1):
    generator = Network((4,), (Dense(6), Reshape((2, 3, 1))))
    discriminator = Network(judged, (Flatten(), Dense(outputs)))
    networks = {"generator": generator, "discriminator": discriminator}
    return changed(objective=Adversarial(latents), networks=networks)


def test_an_adversarial_task_whose_networks_fit_each_other_is_valid():
    assert define_task(definition(made=game()), None) == game()
    listed = game(judged=[2, 3, 1])
    assert define_task(definition(made=listed), None) is listed


@pytest.mark.parametrize(
    "option",
    [
        ("width", Annotated[int, msgspec.Meta(ge=1, description="units")], 3),
        ("rate", float, 1),
        ("fast", bool, False),
        ("note", str, ""),
        ("kind", Literal["one", "two"], "one"),
        ("rate", int | float, 1),
        ("kind", enum.StrEnum("Kind", ["ONE", "TWO"]), "one"),
    ],
)
def test_options_of_these_types_are_accepted(option):
    check(definition([option]))


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (
            ("decay", float | None, None),
            "its option decay is of type float | None; expected bool, int, float",
        ),
        (("hidden", tuple[int, ...], (8, 8)), "its option hidden is of type tuple[int, ...]; expected bool"),
        (("rates", dict[str, float], {}), "its option rates is of type dict[str, float]"),
        (("kind", Literal["one", None], None), "its option kind is of type"),  # noqa: PYI061
        (("decay", float, None), "the defaults of its options are invalid: Expected `float`, got `null`"),
        (("decay", float), "the defaults of its options are invalid: Missing required argument 'decay'"),
        (("limit", float, math.inf), "the default of its option limit is inf; expected a finite number"),
        (
            ("width", Annotated[int, msgspec.Meta(ge=1)], 0),
            "the defaults of its options are invalid: Expected",
        ),
    ],
)
def test_options_of_other_types_are_refused(option, words):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the words follow
        check(definition([option]))
    assert str(caught.value).startswith(words)


def test_data_sets_without_a_comma_are_refused():
    with pytest.raises(ValueError, match="its datasets are 'digits'; expected a tuple such as"):
        check(definition(datasets=("digits")))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (None, "define() returned NoneType; expected Task"),
        (changed(networks=None), "TypeError: "),
        (changed(networks={"model": (Flatten(), Dense(3))}), "'tuple' object has no attribute 'placed'"),
        (changed(name="yours"), "define() named it 'yours'; both names must be equal"),
        (
            changed(networks={"net": TASK.networks["model"]}),
            "its networks are named ['net']; expected ['model']",
        ),
        (
            changed(objective=Classification(label_smoothing=0.1, loss="mse_softmax")),
            "its loss mse_softmax has no label smoothing; expected 0, or cross_entropy",
        ),
        (changed(objective=Adversarial(8)), "expected ['discriminator', 'generator']"),
        (
            with_layers(Conv2D(3, 1)),
            "layers of its network model do not fit: conv2d_1 takes inputs of 3 axes, and (4,) has 1",
        ),
        (with_layers(Dense(0)), "units of dense_1 must be at least 1, not 0"),
        (with_layers(Dense(64.0)), "Expected `int`, got `float`"),
        (with_layers(Dense(np.int64(64))), "numpy.int64"),
        (with_layers(Dropout(1.0)), "rate of dropout_1 must be at least 0 and below 1, not 1.0"),
        (changed(epochs=0), "it has 0 epochs; expected at least 1"),
        (changed(epochs="3"), "Expected `int`, got `str` - at `$.epochs`"),
        (changed(batch_size=-5), "its batch size is -5; expected at least 1, or None for all"),
        (
            changed(networks={"model": Network((4, 4, 1), (Conv2D(3, 3),))}, objective=Regression()),
            "the number of output axes of its network model is 3; expected 1",
        ),
        (
            changed(optimizer=Sgd(0.1, nesterov=True)),
            "nesterov without momentum; expected a momentum",
        ),
        (
            changed(augmentation=Augmentation(flip=True)),
            "inputs that it augments is 2; expected 3",
        ),
        (changed(augmentation=Augmentation(crop=-1)), "its crop is -1; expected at least 0"),
        (changed(objective=Classification((0.5,))), "the number of its class weights is 1; expected 3"),
        (game(latents=5), "the input shape of its generator is (4,); expected (5,)"),
        (game(judged=(3, 2, 1)), "the input shape of its discriminator is (3, 2, 1); expected (2, 3, 1)"),
        (game(outputs=2), "the output shape of its discriminator is (2,); expected (1,)"),
        (with_layers(Dropout(-1)), "rate of dropout_1 must be at least 0 and below 1, not -1"),
    ],
)
def test_a_task_that_cannot_be_trained_is_reported_in_a_line(made, words):
    with pytest.raises(PluginError) as caught:
        define_task(definition(made=made), None)
    assert str(caught.value).startswith("task mine cannot be trained: ")
    assert words in str(caught.value)


def test_a_dropout_of_rate_0_is_valid():
    made = with_layers(Dropout(0), Dense(3))
    assert define_task(definition(made=made), None) == made


def test_a_define_that_raises_is_reported_with_its_place():
    def define(options):
        return options["width"]

    with pytest.raises(PluginError, match=r"task mine: define\(\) raised TypeError: .*test_definition.py"):
        define_task(msgspec.structs.replace(definition(), define=define), None)


def test_a_define_that_exits_is_an_error_of_the_plugin():
    exiting = msgspec.structs.replace(definition(), define=lambda _: sys.exit("not today"))
    with pytest.raises(PluginError, match=r"task mine: define\(\) raised SystemExit: not today"):
        define_task(exiting, None)


def test_options_that_exclude_each_other_are_the_users_error():
    def define(_):
        raise ValueError("this does not go with that")

    with pytest.raises(UsageError, match=r"--set: this does not go with that\."):
        define_task(msgspec.structs.replace(definition(), define=define), None)
    assert define_task(definition(), None) is TASK


def test_what_a_define_prints_is_kept_from_standard_output(capfd):
    def define(_):
        print("made")
        subprocess.run(["/bin/echo", "started"], check=True)
        return TASK

    define_task(msgspec.structs.replace(definition(), define=define), None)
    subprocess.run(["/bin/echo", "after"], check=True)
    output = capfd.readouterr()
    assert output.out == "after\n"
    assert sorted(output.err.splitlines()) == ["made", "started"]


def test_a_preset_without_epochs_or_steps_is_refused():
    with pytest.raises(ValueError, match="its preset smoke has 0 epochs; expected at least 1"):
        check(definition(presets={"smoke": Preset(epochs=0)}))
    with pytest.raises(ValueError, match="its preset smoke has 0 max_steps; expected at least 1"):
        check(definition(presets={"smoke": Preset(max_steps=0)}))


@pytest.mark.parametrize(
    "made",
    [
        changed(objective=Regression(), imbalance=Imbalance(0.5)),
        changed(networks={"model": Network((4, 1), (Dense(3),))}, imbalance=Imbalance(0.5)),
    ],
    ids=["values", "a class at each position"],
)
def test_an_imbalance_needs_one_class_for_each_sample(made):
    task = definition(made=made)
    with pytest.raises(PluginError, match="imbalance, which needs one class for each sample"):
        define_task(task, task.options())


@pytest.mark.parametrize("variables", ["TRITON_CACHE_DIR", ("HOME",), ("A=B",), ("",), None])
def test_compilation_caches_are_variables_of_caches_alone(variables):
    backend = NumpyBackend()
    check(backend)
    backend.compilation_caches = variables
    with pytest.raises(ValueError, match="compilation_caches"):
        check(backend)
