"""A plugin file: small tasks on data of the kind that ODD_DATA names, with unusual types and shapes."""

import hashlib
import os

import msgspec
import numpy as np

from harness.hookspecs import hookimpl
from harness.layers import Dense, Flatten
from harness.network import Network
from harness.spec.data import Dataset, DataSource, Samples
from harness.spec.task import Classification, Regression, Sgd, Task, TaskDefinition

ROWS = 60


class Options(msgspec.Struct, frozen=True):
    pass


def define(name, objective, outputs):
    return Task(
        name=name,
        version=1,
        networks={"model": Network((2, 2, 1), (Flatten(), Dense(4, activation="relu"), Dense(outputs)))},
        objective=objective,
        optimizer=Sgd(0.1),
        batch_size=8,
        epochs=1,
    )


TASKS = {
    name: TaskDefinition(
        name=name,
        summary="for tests",
        datasets=("odd",),
        options=Options,
        define=lambda _, made=(name, objective, outputs): define(*made),
    )
    for name, objective, outputs in (("sorting", Classification(), 3), ("fitting", Regression(), 1))
}


def targets(kind):
    classes = np.arange(ROWS) % 3
    return {
        "bytes": classes.astype(np.uint8),
        "from 1": classes + 1,
        "integers": (classes * 1000)[:, None],
    }[kind]


class Odd(DataSource):
    name = "odd"
    summary = "small"

    def is_ready(self):
        return True

    def load(self):
        inputs = np.random.default_rng(0).random((2, 2, 1, ROWS)).transpose(3, 0, 1, 2)  # not contiguous
        samples = Samples(inputs, targets(os.environ["ODD_DATA"]))
        return Dataset(
            name="odd",
            fingerprint=hashlib.sha256(inputs.tobytes()).hexdigest(),
            origin="drawn",
            classes=("a", "b", "c"),
            train=samples,
            test=samples,
        )


@hookimpl
def harness_task(name):
    return TASKS.get(name)


@hookimpl
def harness_dataset(name):
    return Odd() if name == "odd" else None
