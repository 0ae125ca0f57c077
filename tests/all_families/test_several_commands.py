"""Commands that write into one results folder at the same time."""

import pytest

from harness.core.runs.store import RUNS
from harness.timing.duel.record import DUELS
from harness.timing.gate.record import GATES

RUN = ("run", "--dataset", "digits", "--task", "cnn", "--epochs", "2", "--quiet", "--no-certify", "--backend")


@pytest.mark.long
def test_eight_commands_write_into_one_folder(harness):
    commands = [
        *((*RUN, "faulty:ok", "--seed", str(seed)) for seed in range(2)),
        (*RUN, "faulty:raise,faulty:ok", "--seed", "7"),
        (*RUN, "hostile:escape"),
        (*RUN, "faulty:sigkill", "--set", "dropout=0.2"),
        ("duel", "paced", "paced", "--task", "mlp", "--dataset", "mnist1d", "--budget", "5s", "--no-certify"),
        ("list",),
        ("compare",),
    ]
    started = [harness.start(*command) for command in commands]
    ended = [(process, *process.communicate(timeout=240)) for process in started]
    assert [err for _, _, err in ended if "Traceback" in err] == []

    results = harness.folder / "results"
    records = list(RUNS.read_each(RUNS.paths(results)))
    assert sorted(record.status for record in records) == ["failed"] * 3 + ["ok"] * 3
    assert len({record.id for record in records}) == 6
    (duel,) = DUELS.read_each(DUELS.paths(results))
    assert duel.status in {"ok", "failed"}
    assert GATES.paths(results) == []
    assert not list(results.rglob("*.tmp"))
    listed = harness("list", "results")
    assert listed.stdout.count("cnn") >= 6
