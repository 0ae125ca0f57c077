"""Dropout is compared by its rate."""

import numpy as np
from support.numpy_side import NumpySide

from harness.port.causes.dropouts import dropouts
from harness.tracing import semantics as kinds

RNG = np.random.default_rng(0)
LINEAR = "fc", kinds.Linear(), {"kernel": RNG.normal(size=(6, 4))}
DROPOUT = "drop", kinds.Dropout(rate=0.5, active=True), {}


def causes(a, b):
    inputs = [RNG.normal(size=(5, 6))]
    traces = [NumpySide(*calls).trace(inputs, training=True) for calls in (a, b)]
    return dropouts(*traces, training=True)


def test_dropout_of_another_rate_and_one_that_is_missing_are_found():
    weak = "drop", kinds.Dropout(rate=0.1, active=True), {}
    (cause,) = causes([LINEAR, DROPOUT], [LINEAR, weak])
    assert (cause.kind, cause.mode, cause.a, cause.b) == ("dropout", "training", "0.5", "0.1")
    (cause,) = causes([LINEAR, DROPOUT], [LINEAR])
    assert (cause.a, cause.b) == ("0.5", "none")
    assert causes([LINEAR, DROPOUT], [LINEAR, DROPOUT]) == []
