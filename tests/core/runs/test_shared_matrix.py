"""Real processes that share a matrix, or are killed in the middle of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.core.runs.claims import claim_paths

KILLS = Path(__file__).parents[2] / "benchmarks" / "kills.py"
MATRIX = ("run", "--task", "mlp", "--max-steps", "2", "--no-eval", "--no-certify", "--threads", "1")


def test_a_repeated_matrix_reuses_its_runs_and_shows_them_all(harness):
    harness(*MATRIX, "--backend", "faulty:ok", "--quiet")
    again = harness(*MATRIX, "--backend", "faulty:ok", "--seeds", "2", "--format", "json")
    assert "1 of 2 runs" in again.stderr
    shown = json.loads(again.stdout)["records"]
    assert [record["seed"] for record in shown] == [0, 1]
    assert shown == harness.records()


@pytest.mark.long
@pytest.mark.parametrize(("processes", "runs"), [(2, 8), (8, 4)])
def test_processes_that_share_a_matrix_execute_each_run_once(harness, processes, runs):
    harness("data", "fetch", "mnist1d")
    call = (*MATRIX, "--backend", "faulty:ok", "--seeds", str(runs), "--format", "json")
    started = [harness.start(*call) for _ in range(processes)]
    outputs = [process.communicate(timeout=400) for process in started]
    assert [process.returncode for process in started] == [0] * processes, outputs
    records = harness.records()
    assert sorted(record["seed"] for record in records) == list(range(runs))
    assert len({record["process"]["pid"] for record in records}) > 1
    for stdout, _ in outputs:  # each shows the whole matrix
        assert [record["seed"] for record in json.loads(stdout)["records"]] == list(range(runs))
    assert claim_paths(harness.folder / "results") == []


@pytest.mark.long
def test_a_matrix_that_is_killed_at_random_moments_is_completed(harness):
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    done = subprocess.run(
        [sys.executable, KILLS, "--kills", "3", "--runs", "2", "--longest-life", "4"],
        env=harness.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kills, 0 faults" in done.stdout
