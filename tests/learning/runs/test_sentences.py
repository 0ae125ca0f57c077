"""What reports of runs say about runs that are not compared, about several axes, and what was trained."""

import pytest
from support.made_overfitting import overfitting_records
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
from harness.learning.runs.overfitting_text import gap_sentence
from harness.learning.runs.rows import LeftOut
from harness.learning.runs.trained import trained_text
from harness_tasks.mlp import MLP

#: The training loss of the last epoch depends on the seed by so much.
SPREADS = {"different": 0.02, "undecided": 2.0}


@pytest.mark.parametrize("verdict", SPREADS)
def test_gaps(verdict, snapshot):
    """Those that are equal are in the outputs of reports."""

    def train(seed):
        return [2, 1.5, 1, 1, 1, 1 + SPREADS[verdict] * seed]

    others = seeds_of(train=train, held_out=[2, 1.5, *[1.2] * 4])
    gap = only_group(*overfitting_records("jax", range(3)), *others).gaps[0]
    assert (gap.result.verdict, gap_sentence(gap)) == (verdict, snapshot)


DIFFERENCES = (
    Difference("dataset", "cifar10", "digits"),
    Difference("fingerprint", "b" * 64, "f" * 64),
    Difference("max_steps", 10, None),
    Difference("evaluation", Evaluation(5, 1000), Evaluation()),
    Difference("variables", "XLA_FLAGS=--fast", ""),
    Difference("certified", ours=False, theirs=True),
)
WORK = str(DifferentWork(("jax:eager", "torch:eager"), 0, 3, (2.05, None)))
APART = [
    KeptApart("cnn", "cnn on digits", ("torch:eager",), 1, "alone under these conditions", DIFFERENCES),
    KeptApart("cnn", "cnn on digits", ("jax:eager", "torch:eager"), 4, WORK),
]
LEFT_OUT = [
    LeftOut("cnn", "torch:eager", "failed", "no memory", 1),
    *(LeftOut("cnn", "torch:eager", reason, "", 2) for reason in ("running", "lost", "superseded", "trial")),
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
