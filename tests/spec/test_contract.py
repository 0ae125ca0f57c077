"""A backend of the first version keeps loading; the harness declines for it what it cannot know."""

import msgspec
import numpy as np
import pytest

from harness.layers import Conv2D, Dense, Flatten, Residual
from harness.network import Network
from harness.plugins import definition
from harness.plugins.programs import build
from harness.spec import (
    Backend,
    BinaryClassification,
    Classification,
    CosineDecay,
    Plan,
    Samples,
    Sgd,
    Task,
    Unsupported,
)
from harness.spec.contract import beyond_first_contract
from harness_tasks import TASKS

OLD = Task(
    name="old",
    version=1,
    networks={"model": Network((4, 4, 1), (Conv2D(2, 3), Flatten(), Dense(3)))},
    objective=Classification(),
    optimizer=Sgd(0.1),
    batch_size=8,
    epochs=1,
)


class OldBackend(Backend):
    """As written before there was a version."""

    name = "old"
    summary = "old"
    modes = ("default",)
    requires = ()

    def environment(self, threads):
        return {"engine": "numpy", "numpy": np.__version__}

    def build(self, plan, data):
        return "a program"


class NewBackend(OldBackend):
    contract = 2


def _built(task, backend):
    plan = Plan(task=task, mode="default", threads=1, seed=0)
    return build(backend, plan, Samples(np.zeros((8, 4, 4, 1)), np.zeros(8, np.int64)))


def _with_layers(*layers):
    return msgspec.structs.replace(OLD, networks={"model": Network((4, 4, 1), layers)})


NEWER = {
    "Residual (layer model/residual_1)": _with_layers(Residual((Dense(1),)), Flatten(), Dense(3)),
    "the activation gelu (layer model/dense_1)": _with_layers(Flatten(), Dense(3, activation="gelu")),
    "Dense without bias (layer model/dense_1)": _with_layers(Flatten(), Dense(3, bias=False)),
    "Dense on more than one axis (layer model/dense_1)": _with_layers(Dense(2), Flatten(), Dense(3)),
    "padding given as a number (layer model/conv2d_1)": _with_layers(
        Conv2D(2, 3, padding=1), Flatten(), Dense(3)
    ),
    "classes for each position": _with_layers(Conv2D(2, 3)),
    "binary classification": msgspec.structs.replace(OLD, objective=BinaryClassification()),
    "label smoothing": msgspec.structs.replace(OLD, objective=Classification(label_smoothing=0.1)),
    "a schedule of learning rates": msgspec.structs.replace(OLD, schedule=CosineDecay()),
    "clipped gradients": msgspec.structs.replace(OLD, clip_norm=1.0),
}


@pytest.mark.parametrize("newer", NEWER)
def test_what_is_newer_is_declined_by_its_name_for_an_old_backend(newer):
    with pytest.raises(Unsupported) as declined:
        _built(NEWER[newer], OldBackend())
    assert str(declined.value) == f"backend old follows version 1 of the contract, which has no {newer}"
    assert _built(NEWER[newer], NewBackend()) == "a program"


def test_an_old_backend_builds_the_tasks_of_its_time():
    assert _built(OLD, OldBackend()) == "a program"
    old = {name for name, task in TASKS.items() if beyond_first_contract(task.define(task.options())) is None}
    assert old == {"cnn", "forecast", "gan", "mlp", "rnn"}


def test_a_version_that_does_not_exist_is_refused():
    class Future(OldBackend):
        contract = 3

    with pytest.raises(ValueError, match="its contract is 3; this harness knows 1 to 2"):
        definition.check(Future())
    definition.check(NewBackend())
