"""Every optimizer of the contract has its entry, and its formula for the backends."""

import functools
import typing

import msgspec
import numpy as np
import pytest

from harness.backend_support import rules
from harness.core.certify.run_cases import rules_of
from harness.core.plugins import registry
from harness.core.plugins.definition import define_task
from harness.core.plugins.options import parse_options
from harness.core.reference.optimizers import OPTIMIZERS, entry_of, titles
from harness.core.reference.training import NumpyProgram
from harness.spec.backend import Steps
from harness.spec.data import Samples
from harness.spec.task import Adam, Optimizer, RmsProp, Sgd

MADE = [Sgd(0.1), Sgd(0.1, 0.9), Sgd(0.1, 0.9, nesterov=True), Adam(0.1), RmsProp(0.1)]


def test_every_optimizer_has_an_entry_and_is_tested_here():
    kinds = set(typing.get_args(Optimizer))
    assert set(OPTIMIZERS) == kinds == {type(optimizer) for optimizer in MADE}


def test_parts_have_names_of_their_own():
    names = [part.name for entry in OPTIMIZERS.values() for part in entry.parts]
    assert len(set(names)) == len(names)
    assert {part.replaces for entry in OPTIMIZERS.values() for part in entry.parts} - {""} <= set(names)


def test_optimizers_are_spelled_as_usual():
    assert titles() == {"sgd": "SGD", "adam": "Adam", "rmsprop": "RMSprop"}


@pytest.mark.parametrize("optimizer", MADE, ids=repr)
def test_an_optimizer_with_state_has_a_part_that_a_case_must_prove(optimizer):
    parts = [part for part in entry_of(optimizer).parts if part.applies(optimizer)]
    assert bool(parts) is bool(optimizer.slots)


@pytest.mark.parametrize("optimizer", [Sgd(0.1, 0.9), Adam(0.1)], ids=repr)
def test_without_an_entry_nothing_passes_silently(monkeypatch, optimizer):
    task = define_task(registry.task("mlp"), parse_options(registry.task("mlp"), ["optimizer=sgd"]))
    task = msgspec.structs.replace(task, optimizer=optimizer)
    program = functools.partial(NumpyProgram, task)
    monkeypatch.delitem(OPTIMIZERS, type(optimizer))
    for use in (
        lambda: rules_of(task),
        lambda: _a_step(program),
    ):
        with pytest.raises(KeyError):
            use()


def _a_step(made):
    rows = np.zeros((1, 8), np.int64)
    made(Samples(np.ones((1, 40)), np.zeros(1, np.int64))).train(Steps(rows))


@pytest.mark.parametrize("optimizer", MADE, ids=repr)
def test_the_formula_of_backends_is_that_of_the_reference(optimizer):
    class Plain:
        clip_norm = weight_decay = 0.0

        def __init__(self):
            self.optimizer = optimizer

    gradients, w = np.random.default_rng(0).standard_normal((2, 5, 3))[0], np.ones(3)
    slots = tuple(np.zeros(3) for _ in optimizer.slots)
    ours, moments = {"w": w}, {"w": tuple(np.zeros(3) for _ in range(rules.moment_count(optimizer)))}
    for t, g in enumerate(gradients, 1):
        w = w - entry_of(optimizer).subtracted(optimizer, g, slots, t, 0.1)
        ours, moments = rules.updated(np, Plain(), ours, {"w": g}, moments, t, 0.1)
    np.testing.assert_allclose(ours["w"], w, rtol=1e-12)
