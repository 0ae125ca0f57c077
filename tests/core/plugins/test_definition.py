"""Mistakes in task definitions are reported in one line, when the task is loaded or defined."""

import enum
import math
import re
import subprocess
import sys
from typing import Annotated, Literal

import msgspec
import numpy as np
import pytest
from support.tasks import small_task

from harness.core.plugins.checks import check
from harness.core.plugins.definition import define_task
from harness.core.reference.training import NumpyBackend
from harness.errors import PluginError, UsageError
from harness.layers import Conv2D, Dense, Dropout, Flatten, Reshape
from harness.network import Network
from harness.spec.task import (
    Adversarial,
    Augmentation,
    Classification,
    Imbalance,
    Preset,
    Regression,
    Sgd,
    TaskDefinition,
)

TASK = msgspec.structs.replace(small_task((4, 1), Flatten(), Dense(3)), name="mine")


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
    assert define_task(definition(made=listed), None) == game()


def test_numbers_of_numpy_become_plain_ones():
    made = with_layers(Dense(np.int64(3)))
    made = msgspec.structs.replace(made, name=np.str_("mine"), optimizer=Sgd(np.float64(0.1)))
    task = define_task(definition(made=made), None)
    assert task == changed(optimizer=Sgd(0.1))
    assert (type(task.name), type(task.optimizer.learning_rate)) == (str, float)


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


OPTIONS = {
    "or nothing": ("decay", float | None, None),
    "tuple": ("hidden", tuple[int, ...], (8, 8)),
    "dictionary": ("rates", dict[str, float], {}),
    "or None": ("kind", Literal["one", None], None),  # noqa: PYI061
    "no number": ("decay", float, None),
    "no default": ("decay", float),
    "infinite": ("limit", float, math.inf),
    "out of bounds": ("width", Annotated[int, msgspec.Meta(ge=1)], 0),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_options_of_other_types_are_refused(option, snapshot):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the snapshot has the words
        check(definition([OPTIONS[option]]))
    assert str(caught.value) == snapshot


def test_data_sets_without_a_comma_are_refused():
    with pytest.raises(ValueError, match="its datasets are 'digits'; expected a tuple such as"):
        check(definition(datasets=("digits")))


FLAWS = {
    "nothing": None,
    "no networks": changed(networks=None),
    "no network": changed(networks={"model": (Flatten(), Dense(3))}),
    "another name": changed(name="yours"),
    "name of the network": changed(networks={"net": TASK.networks["model"]}),
    "smoothed error": changed(objective=Classification(label_smoothing=0.1, loss="mse_softmax")),
    "no discriminator": changed(objective=Adversarial(8)),
    "axes": with_layers(Conv2D(3, 1)),
    "no units": with_layers(Dense(0)),
    "units as a float": with_layers(Dense(64.0)),
    "dropout of all": with_layers(Dropout(1.0)),
    "negative dropout": with_layers(Dropout(-1)),
    "no epochs": changed(epochs=0),
    "epochs as text": changed(epochs="3"),
    "negative batch": changed(batch_size=-5),
    "outputs": changed(networks={"model": Network((4, 4, 1), (Conv2D(3, 3),))}, objective=Regression()),
    "nesterov": changed(optimizer=Sgd(0.1, nesterov=True)),
    "flip": changed(augmentation=Augmentation(flip=True)),
    "negative crop": changed(augmentation=Augmentation(crop=-1)),
    "class weights": changed(objective=Classification((0.5,))),
    "latents": game(latents=5),
    "judged": game(judged=(3, 2, 1)),
    "two outputs": game(outputs=2),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_task_that_cannot_be_trained_is_reported_in_a_line(flaw, snapshot):
    with pytest.raises(PluginError) as caught:
        define_task(definition(made=FLAWS[flaw]), None)
    assert str(caught.value).startswith("task mine cannot be trained: ")
    assert re.sub(r" \(\w+\.py, line \d+\)", "", str(caught.value)) == snapshot


def test_a_dropout_of_rate_0_is_valid():
    made = with_layers(Dropout(0), Dense(3))
    assert define_task(definition(made=made), None) == made


@pytest.mark.parametrize(
    ("define", "error", "words"),
    [
        (lambda options: options["width"], PluginError, r"define\(\) raised TypeError: .*test_definition.py"),
        (lambda _: sys.exit("not today"), PluginError, r"define\(\) raised SystemExit: not today"),
        (lambda _: excluding(), UsageError, r"--set: this does not go with that\."),
    ],
    ids=["raises", "exits", "options that exclude each other"],
)
def test_a_define_that_fails_is_an_error_of_the_plugin_or_of_the_options(define, error, words):
    with pytest.raises(error, match=words):
        define_task(msgspec.structs.replace(definition(), define=define), None)
    assert define_task(definition(), None) == TASK


def excluding():
    raise ValueError("this does not go with that")


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


@pytest.mark.parametrize("field", ["epochs", "max_steps"])
def test_a_preset_without_epochs_or_steps_is_refused(field):
    with pytest.raises(ValueError, match=f"its preset smoke has 0 {field}; expected at least 1"):
        check(definition(presets={"smoke": Preset(**{field: 0})}))


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
