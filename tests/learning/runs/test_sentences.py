"""What reports of runs say about overfitting, about runs that are not compared, and what was trained."""

import pytest
from support.made_overfitting import OVERFITTING, adversarial_records, overfitting_records
from support.made_records import made_mlp, made_record, made_setting, seeds_of
from support.made_runs import findings_of, only_group
from support.records import reconfigured

from harness.core.runs.record import Evaluation, TaskRecord
from harness.learning.runs.conditions import Difference
from harness.learning.runs.kept_apart import (
    DifferentWork,
    KeptApart,
    kept_apart_sentence,
    left_out_sentence,
    variation_sentence,
)
from harness.learning.runs.overfitting_text import gap_sentence, overfitting_sentence, overfitting_table
from harness.learning.runs.rows import LeftOut
from harness.learning.runs.trained import trained_text
from harness_tasks.mlp import MLP


@pytest.mark.parametrize("name", OVERFITTING)
def test_overfitting(name, snapshot):
    (overfit,) = only_group(*OVERFITTING[name]).overfittings
    (row,) = overfitting_table([overfit]).rows
    assert [overfitting_sentence(overfit), " | ".join(row)] == snapshot


_OTHER_GAPS = seeds_of(train=lambda seed: [2, 1.5, 1, 1, 1, 1 + seed / 50], held_out=[2, 1.5, *[1.2] * 4])


@pytest.mark.parametrize(
    ("records", "margin"),
    [
        ([*overfitting_records("jax"), *overfitting_records()], 2.5),
        ([*overfitting_records("jax", range(3)), *_OTHER_GAPS], None),
        ([*adversarial_records("jax"), *adversarial_records()], 0.01),
    ],
    ids=["equal", "different", "of discriminators"],
)
def test_gaps(records, margin, snapshot):
    assert gap_sentence(only_group(*records, margin=margin).gaps[0]) == snapshot


DIFFERENCES = (
    Difference("dataset", "cifar10", "digits"),
    Difference("fingerprint", "b" * 64, "f" * 64),
    Difference("precision", "float64", "float32"),
    Difference("max_steps", 10, None),
    Difference("evaluation", Evaluation(5, 1000), Evaluation()),
    Difference("variables", "XLA_FLAGS=--fast", ""),
    Difference("certified", ours=False, theirs=True),
)
_OF = ("cnn", "cnn on digits, 2 epochs")
WORK = str(DifferentWork(("jax:eager", "torch:eager"), 0, 3, (2.05, None)))
APART = [
    KeptApart(*_OF, ("torch:eager", "jax:eager"), 8, "not certified: a gate is wrong; no loss"),
    KeptApart(*_OF, ("torch:eager",), 1, "alone under these conditions", DIFFERENCES),
    KeptApart(*_OF, ("jax:eager", "torch:eager"), 4, WORK),
]
LEFT_OUT = [
    LeftOut("cnn", "torch:eager", "failed", "no memory", 1),
    *(
        LeftOut("cnn", "torch:eager", reason, "", 2)
        for reason in ("timeout", "running", "lost", "superseded")
    ),
    LeftOut("cnn", "torch:eager", "interrupted", "interrupted", 1),
]


def test_runs_that_are_not_compared(snapshot):
    assert [*map(kept_apart_sentence, APART), *map(left_out_sentence, LEFT_OUT)] == snapshot


def test_several_axes_and_the_ways_to_choose(snapshot):
    grid = [
        made_setting(optimizer=name, learning_rate=rate) for name in ("adam", "sgd") for rate in (0.1, 0.01)
    ]
    backends = [*grid[::2], *(reconfigured(record, backend="jax") for record in grid[::2])]
    found = [variation for records in (grid, backends) for variation in findings_of(*records).variations]
    assert list(map(variation_sentence, found)) == snapshot


def test_what_was_trained(snapshot):
    """Its settings apart from the axes, and its data; briefly only what is not the task's own."""
    stand_in = {"stands_in_for": "cifar10", "reason": "not downloaded"}
    runs = {
        "defaults": [made_mlp()],
        "settings": [made_mlp(train_fraction=0.05, epochs=150)],
        "stand-in": [made_mlp(dataset=stand_in)],
        "axes": [
            made_mlp(sha256=digit * 64, optimizer=name, train_fraction=0.05)
            for digit, name in (("0", "adam"), ("1", "sgd"))
        ],
        "unknown": [
            made_record(task=TaskRecord("mine", 1, {"depth": 3}, "0" * 64, MLP.define(MLP.options())))
        ],
    }
    groups = {name: only_group(*records).comparison.group for name, records in runs.items()}
    assert {
        name: [trained_text(group), trained_text(group, brief=True)] for name, group in groups.items()
    } == snapshot
