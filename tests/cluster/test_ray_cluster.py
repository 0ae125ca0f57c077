"""Runs on a real Ray cluster of three nodes on this machine."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from support.ray_cluster import LocalCluster

from harness.core.runs.store import RUNS
from harness.timing.duel.record import DUELS

pytest.importorskip("ray")
pytestmark = pytest.mark.long

PLUGIN = Path(__file__).parents[1] / "support" / "plugins" / "paced.py"
MATRIX = ["--plugin", str(PLUGIN), "--task", "mlp", "--threads", "1", "--no-certify", "--no-eval"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with LocalCluster(tmp_path_factory.mktemp("nodes"), ["alpha", "beta", "gamma"]) as started:
        yield started


def command(cluster, results, *options, name=("run",)):
    ray = [*name, "--executor", "ray", "--address", cluster.address, "--results", str(results)]
    return subprocess.Popen(
        [sys.executable, "-m", "harness", *ray, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "120"},
    )


def stored(results):
    return [RUNS.read(path) for path in sorted(results.glob("runs/*.json"))]


def test_the_runs_of_a_killed_node_are_done_elsewhere(cluster, tmp_path):
    """The plugin file reaches the nodes, and the data set each of them once."""
    running = command(cluster, tmp_path, *MATRIX, "--backend", "paced", "--seeds", "3", "--max-steps", "60")
    begun = []
    for line in running.stderr:
        if begins := re.search(r"\[(\d)/3\].* begins on (\w+)", line):
            begun.append(begins[2])
            if begins[1] == "3":
                (killed,) = [name for name in ("alpha", "beta", "gamma") if cluster.host_id(name) == begun[2]]
                cluster.kill(killed)
                break
    output, rest = running.communicate(timeout=250)
    assert running.returncode == 0, output + rest
    assert f"{begun[2]} is lost" in rest
    done = stored(tmp_path)
    assert sorted((record.seed, record.status) for record in done) == [(seed, "ok") for seed in range(3)]
    assert {record.machine.host for record in done} == set(begun[:2])
    (again,) = [record for record in done if record.lost_attempts]
    assert [attempt.node for attempt in again.lost_attempts] == [begun[2]]
    assert {record.command[0] for record in done} == {"run"}
    for survivor in {"alpha", "beta", "gamma"} - {killed}:
        assert len(list(cluster.cache(survivor).glob("kept-data/*"))) == 1


@pytest.mark.parametrize("begun", [False, True], ids=["before a record", "after a record"])
def test_an_interrupt_ends_the_work_on_the_nodes(cluster, tmp_path, begun):
    running = command(cluster, tmp_path, *MATRIX, "--backend", "paced", "--max-steps", "5000")
    for line in running.stderr:
        if " begins on " in line:
            break
    while begun and not stored(tmp_path):
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    assert "Traceback" not in errors
    statuses = [record.status for record in stored(tmp_path)]
    assert statuses in ([["interrupted"]] if begun else [[], ["interrupted"]])
    plugin_files = [process.environ().get("HARNESS_PLUGIN_FILES", "") for process in workers()]
    assert not [files for files in plugin_files if "harness-agent-" in files]


def test_a_duel_is_carried_out_on_one_node_and_recorded_here(cluster, tmp_path):
    settings = ("--plugin", str(PLUGIN), "--task", "mlp", "--budget", "20s", "--no-certify", "--threads", "1")
    running = command(cluster, tmp_path, "paced:plain", "paced:fivefold", *settings, name=("duel",))
    output, errors = running.communicate(timeout=200)
    assert running.returncode == 0, errors
    assert re.match("paced:fivefold is (probably )?slower than paced:plain", output)
    (record,) = (DUELS.read(path) for path in tmp_path.glob("duels/*.json"))
    assert record.machine.host in {cluster.host_id(name) for name in ("alpha", "beta", "gamma")}
    assert "pair 1 " in errors


def workers():
    """The workers of this user, of any harness."""
    for process in psutil.process_iter(["cmdline"]):
        if "harness.core.worker" in (process.info["cmdline"] or []):
            yield process


def test_an_address_without_a_cluster_is_refused(tmp_path):
    class Nowhere:
        address = "127.0.0.1:9"

    refused = command(Nowhere, tmp_path, *MATRIX, "--backend", "paced")
    output, errors = refused.communicate(timeout=60)
    assert (refused.returncode, output) == (2, "")
    assert "127.0.0.1:9" in errors.splitlines()[0]


def test_a_study_prints_its_answer(cluster, tmp_path):
    settings = ("--trials", "1", "--seeds", "1", "--optimizers", "adam,sgd", "--epochs", "1", "--no-certify")
    study = ("study", "optimizers", "--task", "tabular", "--backend", "torch")
    running = command(cluster, tmp_path, *settings, name=study)
    output, errors = running.communicate(timeout=200)
    assert running.returncode == 0, errors
    assert "Study of optimizers" in output
    assert [record.status for record in stored(tmp_path)] == ["ok"] * 4


def test_runs_whose_times_are_not_judged_share_a_node(cluster, tmp_path):
    """One of them, drawn at random, is repeated on its node."""
    matrix = ("--task", "tabular", "--backend", "torch", "--seeds", "5", "--max-steps", "20", "--no-certify")
    running = command(cluster, tmp_path, *matrix, "--jobs", "2")
    output, errors = running.communicate(timeout=250)
    assert running.returncode == 0, output + errors
    assert re.search(r" begins on .* #2", errors)
    done = stored(tmp_path)
    assert sorted((record.seed, record.status) for record in done) == [(seed, "ok") for seed in range(5)]
    assert {(record.making.process, record.making.jobs) for record in done} == {("forked", 2)}
    assert sorted(str(record.making.repeated) for record in done) == ["None"] * 4 + ["equal"]
