"""The plugin file of a model of the user's own: the task that it defines for each choice of options."""

import itertools
import types

import pytest

from harness.core.models.task_file import Choice, OwnParts, TaskData, task_file, training_options
from harness.core.plugins.definition import define_task
from harness.core.plugins.options import options_with, parse_alternatives
from harness.errors import UsageError
from harness.layers import Native, NativeArray, NativeModel
from harness.spec.task import Classification, OwnCode, Regression, Sgd, Start
from harness.tracing.calls import InputShape, Stored

START = Start("/weights.safetensors", "0" * 64)
PARTS = OwnParts({"l.py:focal": "/l.py:focal", "o.py:nadam": "/o.py:nadam"}, {"w.safetensors": START})


def layer_of(width):
    kernel = NativeArray("kernel", (40, width), 0.1, {"torch": Stored("fc.weight", axes=(1, 0))})
    return Native((NativeModel("torch", "net.py:make", {"width": width}),), (kernel,), (width,))


def definition_of(*widths, classes=10, shape=(40,), parts=PARTS):
    choices = [Choice({"width": width, "init": "'3'"}, layer_of(width)) for width in widths]
    data = TaskData("mnist1d", InputShape(shape), () if classes else widths[:1], classes)
    module = types.ModuleType("own_task")
    exec(task_file("net", choices, data, "run --backend torch", parts=parts), module.__dict__)  # noqa: S102
    return module.TASK


def defined(definition, **options):
    return define_task(definition, options_with(definition, options))


def test_each_choice_of_arguments_has_its_network_and_the_first_is_the_default():
    definition = definition_of(16, 64)
    assert defined(definition).networks["model"].layers == (layer_of(16),)
    assert defined(definition, width=64).networks["model"].layers == (layer_of(64),)
    assert parse_alternatives(definition, ["width=16,64"]) == {"width": [16, 64]}
    assert definition.options().init == "'3'"


def test_a_value_without_a_network_says_which_option_makes_one():
    with pytest.raises(UsageError, match="harness run --set-model makes others"):
        defined(definition_of(16, 64), width=32)


def test_losses_and_label_smoothing_are_those_of_the_kind_of_task():
    task = defined(definition_of(10), loss="mse_softmax")
    assert task.objective == Classification(loss="mse_softmax")
    assert defined(definition_of(10), label_smoothing=0.1).objective == Classification(label_smoothing=0.1)
    assert defined(definition_of(1, classes=None), loss="huber").objective == Regression("huber")


def test_images_can_be_flipped_and_cropped():
    assert {"flip", "crop"} <= set(definition_of(10, shape=(8, 8, 3)).options.__struct_fields__)
    assert "flip" not in definition_of(10).options.__struct_fields__


def test_parts_of_the_training_are_the_users_code():
    task = defined(definition_of(10), own_loss="l.py:focal", own_optimizer="o.py:nadam")
    assert task.own_code == OwnCode("/l.py:focal", "/o.py:nadam")
    assert task.optimizer == Sgd(1.0)
    plain = defined(definition_of(10))
    assert (plain.own_code, plain.start) == (None, None)
    assert defined(definition_of(10), start_from="w.safetensors").start == START


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"own_loss": "l.py:focal", "label_smoothing": 0.1},
            r"label_smoothing has no effect beside your own loss",
        ),
        ({"own_optimizer": "o.py:nadam", "learning_rate": 0.1}, r"beside your own optimizer \(--optimizer\)"),
        ({"own_loss": "other.py:f"}, r"'other.py:f' is unknown; give it by --loss"),
    ],
)
def test_options_that_the_users_code_replaces_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        defined(definition_of(10), **options)


def test_the_options_of_the_training_are_those_of_the_file():
    definitions = [definition_of(1, classes=classes, shape=(8, 8, 3)) for classes in (None, 2)]
    definitions.append(definition_of(10, shape=(8, 8, 3)))
    own = {"width", "init"}
    assert training_options() == {*itertools.chain(*(d.options.__struct_fields__ for d in definitions))} - own
