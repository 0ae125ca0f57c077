"""What a comparison advises: a duel as a complete command for the same work, and a faster mode."""

import shlex
from pathlib import Path

import msgspec
import pytest
from support.made_comparisons import made_duel
from support.made_records import backends, made_record, two_configurations
from support.made_runs import compared
from support.records import TASK

from harness.core.runs.record import TaskRecord
from harness.core.stats.estimate import Estimate
from harness.learning.runs.next_duel import next_duel
from harness.learning.runs.sentences import headline, remarks
from harness.timing.duel.command import command as duel
from harness_tasks.cnn import CNN

_DEFAULTS = msgspec.structs.asdict(CNN.options())


def _compared(names=("jax", "torch"), seeds=1, *, options=_DEFAULTS, task=None, **changes):
    task = task or TaskRecord("cnn", 1, options, "0" * 64, CNN.define(CNN.options(**options)))
    steps = {name: {"step": 0.01 * place} for place, name in enumerate(names, 1)}
    return compared(*backends(steps, range(seeds), task=task, **changes))


def test_options_that_are_not_the_tasks_own_are_given():
    options = _DEFAULTS | {"width": 0.5, "flip": True}
    command = next_duel(_compared(options=options), Path("other results"))
    assert shlex.split(command)[2:] == [
        *("jax:eager", "torch:eager", "--task", "cnn", "--set", "width=0.5", "--set", "flip=true"),
        *("--dataset", "digits", "--threads", "2", "--results", "other results"),
    ]


def test_conditions_other_than_the_usual_ones_are_given():
    description = msgspec.structs.replace(TASK, batch_size=77)
    comparison = _compared(
        task=TaskRecord("cnn", 1, _DEFAULTS, "0" * 64, description),
        precision="bfloat16",
        device_asked="cpu",
        inherited_variables={"OMP_WAIT_POLICY": "PASSIVE", "TORCH_LOGS": "all"},
        command=["run", "--plugin", "my task.py", "--plugin=other.py"],
    )
    assert shlex.split(next_duel(comparison)) == [
        *("OMP_WAIT_POLICY=PASSIVE", "harness", "duel", "jax:eager", "torch:eager", "--task", "cnn"),
        *("--batch-size", "77", "--dataset", "digits", "--device", "cpu", "--precision", "bfloat16"),
        *("--threads", "2", "--plugin", "my task.py", "--plugin", "other.py"),
    ]


def test_variables_that_this_shell_sets_too_are_not_named(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "256")
    inherited = {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_L2_SIZE": "512"}
    command = next_duel(_compared(inherited_variables=inherited))
    assert shlex.split(command)[:2] == ["OPENBLAS_L2_SIZE=512", "harness"]


def test_the_command_line_takes_it():
    words = shlex.split(next_duel(_compared(options=_DEFAULTS | {"width": 0.5})))
    given = duel.make_context("duel", words[2:], resilient_parsing=False).params
    assert given["texts"] == ("jax:eager", "torch:eager")
    assert (given["task"], given["assignments"], given["threads"]) == ("cnn", ("width=0.5",), 2)


def test_a_task_that_is_not_installed_has_all_its_options():
    command = next_duel(_compared(task=TaskRecord("elsewhere", 1, {"depth": 3}, "0" * 64, TASK)))
    assert {"depth=3", "--batch-size"} <= set(shlex.split(command))


def test_a_duel_takes_the_reference_and_the_three_nearest():
    words = shlex.split(next_duel(_compared([f"b{number}" for number in range(6)])))
    assert [word for word in words if word.endswith(":eager")] == [f"b{number}:eager" for number in range(4)]


@pytest.mark.parametrize(
    "comparison",
    [
        lambda: _compared(seeds=3),  # decided by quiet runs
        lambda: _compared(["torch"]),
        # Versions of one framework need more than a command.
        lambda: compared(*(made_record(framework={"engine": "torch", "torch": each}) for each in "12")),
    ],
)
def test_nothing_is_suggested_where_nothing_is_open_or_a_command_is_not_enough(comparison):
    assert next_duel(comparison()) == ""


def _after(*, status="ok", seconds=80.0, **result):
    """The comparison of few runs, of which a duel of 10 pairs had this result and took so long."""
    duel = made_duel(1.002, "undecided", status=status, seconds=seconds)
    (reached,) = duel.results
    ratio = result.pop("ratio", Estimate(1.002, 0.99, 1.01, 8))
    reached = msgspec.structs.replace(reached, ratio=ratio, p_value=1.0, **result)
    duel.results = [reached]
    few = [record for record in two_configurations() if record.seed < 2]
    return compared(*few, duels=[duel])


@pytest.mark.parametrize(
    ("changes", "state", "advised"),
    [
        ({"pairs_wanted": 4}, "8 of at least 12 pairs", ["--threads", "2"]),
        ({"pairs_wanted": 4, "seconds": 1200.0}, "8 of at least 12 pairs", ["--budget", "30m"]),
        ({"pairs_wanted": 90}, "8 pairs; a verdict needs about 98 pairs, and a duel makes at most 40", None),
        ({"pairs": 2, "pairs_wanted": 2, "ratio": Estimate(1.1, None, None, 2)}, "2 of at least 4 pairs", []),
        ({"reason": "pairs lost", "lost": 7}, "7 of 15 pairs were lost", []),
        ({"status": "interrupted", "pairs_wanted": 4}, "interrupted, 8 of at least 12 pairs", []),
    ],
)
def test_a_duel_without_a_verdict_is_stated_and_repeated_only_where_that_helps(changes, state, advised):
    comparison = _after(**changes)
    text = " ".join([headline(comparison), *remarks(comparison)])
    assert text.count(state) == 2
    assert "p = 1" not in text
    assert "A duel, which" not in text
    command = shlex.split(next_duel(comparison))
    assert command[:2] == (["harness", "duel"] if advised is not None else [])
    assert command[len(command) - len(advised or []) :] == (advised or [])
