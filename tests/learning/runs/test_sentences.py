"""What reports of runs say about several axes, and about what was trained."""

from support.made_records import made_mlp, made_record, made_setting
from support.made_runs import findings_of, only_group
from support.records import reconfigured

from harness.core.runs.record import TaskRecord
from harness.learning.runs.kept_apart import (
    variation_sentence,
)
from harness.learning.runs.trained import trained_text
from harness_tasks.mlp import MLP


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
