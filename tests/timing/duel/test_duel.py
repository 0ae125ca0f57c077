"""Duels as a user runs them: real processes of a backend of known speed, and of PyTorch."""

import errno
import json
import math
import re
import shutil
import signal
import statistics
import sys
import time
from pathlib import Path

import psutil
import pytest
from support.command import PLUGINS, script, stored
from support.processes import ended, processes_of, wait_until, workers_of
from support.workloads import workload

from harness.core.documents import kinds as documents
from harness.core.machine.cpus import allowed_cpus, usable_cpus
from harness.core.machine.worker_variables import missing_controls
from harness.core.runs.record import DatasetRecord
from harness.core.worker import protocol
from harness.errors import HarnessError
from harness.timing.duel.request import DuelRequest
from harness.timing.duel.runner import Duel

#: Few turns: a configuration that sleeps has no noise that more of them would average out.
PACED = ("--task", "mlp", "--no-certify", "--turns", "2")


def duels(harness):
    return [stored(path) for path in harness.folder.glob("results/duels/*.json")]


def with_a_pair(harness, *arguments):
    """What a duel prints and records that is interrupted after its first pair."""

    def has_pair():
        return any(record["pairs"] for record in duels(harness))

    # Certificates are made first, which takes long on a busy machine.
    done = ended(harness, "duel", *arguments, when=has_pair, seconds=200)
    assert done.returncode == 130, done.stderr
    (record,) = duels(harness)
    assert record["status"] == "interrupted"
    return done.stdout, record


@pytest.mark.slow
def test_a_known_slowdown_is_found_sized_and_can_be_shown_again(harness):
    """One whole duel of a configuration and one that takes a tenth longer."""
    budget = ("--budget", "280", "--format", "json")
    done = harness.ok("duel", "paced", "paced:slower", *PACED, *budget, timeout=300)
    (record,) = duels(harness)
    assert json.loads(done.stdout) == json.loads(harness("show", record["id"], "--format", "json").stdout)
    (result,) = record["results"]
    ratio = result["ratio"]
    assert (result["verdict"], record["stopped_because"]) == ("slower", "decided")
    assert ratio["value"] == pytest.approx(1.1, abs=0.01)
    assert ratio["low"] <= ratio["value"] <= ratio["high"]
    assert result["p_value"] <= result["level"]
    assert "is slower than" in harness("show", record["id"][:15]).stdout.splitlines()[2]
    assert ("pair 1 (" in done.stderr, "): paced:slower +" in done.stderr) == (True, True)
    wait_until(lambda: workers_of(harness) == [], 10)
    _verify_blocks(record)


def _verify_blocks(record):
    """The record keeps every block of every pair."""
    shares = []
    for pair in record["pairs"]:
        assert len(pair["blocks"]) == 2 * record["turns"]
        order = [block["configuration"] for block in pair["blocks"]]
        assert order[:4] in ([0, 1, 1, 0], [1, 0, 0, 1])
        assert all(process["settled"] for process in pair["processes"])
        assert all(block["seconds"] >= 0.1 for block in pair["blocks"])
        for process, step in zip(pair["processes"], (0.01, 0.011), strict=True):
            took = process["first_call_steps"] * step  # of a block's length, and of what ends an epoch
            assert took > 0.09
            shares.append(process["first_call_seconds"] / took)
    assert min(shares) > 0.95
    assert statistics.median(shares) < 1.25  # other programs may delay single calls
    assert record["configurations"][0]["training_flops_per_sample"] > 0
    assert record["missing_controls"] == missing_controls()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("paced", "paced:dies"), "paced:dies: the worker process exited with code 9"),
        (("paced", "paced:unbuildable"), "paced:unbuildable: the worker process"),
        (("paced:unbuildable", "paced"), "paced:unbuildable: the worker process"),
        pytest.param(("paced", "paced:diverges"), "is not finite", marks=pytest.mark.long),
        pytest.param(
            *(("paced", "paced:hangs", "--budget", "30"), "so a budget of 30s is"), marks=pytest.mark.long
        ),
    ],
    ids=["dies", "dies in build", "first dies in build", "diverges", "hangs"],
)
def test_a_failing_configuration_is_named_with_the_reason(harness, names, words):
    """The last lines of one that dies are part of it."""
    done = harness("duel", *names, *PACED)
    assert done.returncode == 1
    (failed,) = [name for name in names if name.startswith("paced:")]
    assert f"{failed}: " in done.stdout
    assert words in done.stdout
    assert ("[the last words]" in done.stdout) == ("the worker process" in words)
    wait_until(lambda: workers_of(harness) == [], 10)


def test_an_uncertified_configuration_is_refused(harness):
    done = harness("duel", "paced", "paced:slower", "--task", "mlp")
    assert (done.returncode, "paced:plain is not certified" in done.stdout) == (1, True)


@pytest.mark.slow
def test_pairs_made_before_a_failure_are_kept(harness):
    signal_file = harness.folder / "die"
    harness.environment["PACED_FAILS_WHEN"] = str(signal_file)
    process = harness.start("duel", "paced", "paced:dies", *PACED)
    wait_until(lambda: any(record["pairs"] for record in duels(harness)), 200)
    signal_file.touch()
    process.communicate(timeout=60)
    assert process.returncode == 1
    (record,) = duels(harness)
    assert record["status"] == "failed"
    assert "paced:dies" in record["failure"]
    assert record["pairs"]


@pytest.fixture(scope="module")
def too_short(tmp_path_factory, harness_in):
    """A duel whose budget is too short, in a folder where the data set is already prepared."""
    harness = harness_in(tmp_path_factory.mktemp("short"))
    harness("duel", "paced", "paced:unbuildable", *PACED)
    shutil.rmtree(harness.folder / "results")
    return harness, harness("duel", "paced", "paced:slower", *PACED, "--budget", "12")


@pytest.mark.long
def test_a_late_compilation_counts_towards_the_time_of_a_pair(too_short):
    """Once for each configuration, in addition to the time of a pair without it."""

    def seconds_of_a_pair(done):
        match = re.search(r"at least 4 pairs of about (\d+) s", done.stderr)
        assert match, done.stderr
        return int(match[1])

    harness, without = too_short
    late = harness("duel", "paced", "paced:slower", *PACED, "--budget", "20", PACED_LATE_SECONDS="4")
    assert 4 < seconds_of_a_pair(late) - seconds_of_a_pair(without) < 12


@pytest.mark.long
def test_a_budget_that_is_too_short_is_a_hard_limit_and_what_is_missing_is_told(too_short):
    harness, done = too_short
    assert done.returncode == 0, done.stderr
    assert "The time suffices for about " in done.stderr
    first, *_ = sorted(duels(harness), key=lambda record: record["id"])
    assert first["stopped_because"] == "budget spent"


def test_names_are_those_of_the_configurations_own_interpreter(harness, tmp_path):
    """A backend that is installed only there, and a mode that is not."""
    theirs = (PLUGINS / "paced.py").read_text().replace('"paced"', '"theirs"')
    (tmp_path / "theirs.py").write_text(theirs)
    line = f'HARNESS_PLUGIN_FILES={tmp_path}/theirs.py exec {sys.executable} "$@"'
    python = script(tmp_path / "python", line)
    given = (*PACED, "--dataset", "nothing")
    done = harness("duel", "paced", f"theirs python={python}", *given)
    assert "nothing" in done.stderr  # the names were right, the data set is not
    done = harness("duel", "paced", f"theirs:plane python={python}", *given)
    assert f"theirs:plane ({python}): " in done.stderr
    assert "Did you mean 'plain'?" in done.stderr
    assert done.returncode == 2
    elsewhere = f"HARNESS_PLUGIN_FILES={tmp_path}/theirs.py"
    done = harness("duel", "paced", f"theirs env.{elsewhere}", *given)
    assert "nothing" in done.stderr


def _raise(error):
    raise error


@pytest.mark.parametrize(
    ("run_pairs", "cause"),
    [
        (lambda: None, ""),
        (lambda: _raise(HarnessError("paced: exited with code 9")), "paced: exited with code 9; "),
        (lambda: _raise(KeyboardInterrupt("SIGTERM")), "interrupted by SIGTERM; "),
    ],
)
def test_a_duel_whose_record_cannot_be_written_fails_with_every_reason(
    monkeypatch, tmp_path, run_pairs, cause
):
    """The disk has filled up meanwhile."""
    workloads = [workload("paced", backend="paced", mode="plain")] * 2
    request = DuelRequest(
        workloads=workloads, dataset=DatasetRecord("mnist1d"), margin=0.02, budget_seconds=60
    )
    duel = Duel(request, tmp_path, notify=None)

    def refuse(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(documents, "replace_result", refuse)
    monkeypatch.setattr(duel, "_run", run_pairs)
    record = duel.carry_out()
    assert record.failure.startswith(f"{cause}cannot write the record {duel.path}")
    assert record.status == "failed"


def test_a_duel_continues_without_standard_error(harness):
    """Other faults of it are tried with runs."""
    done = harness.in_shell(f"harness duel paced:dies paced {' '.join(PACED)} 2>&-")
    assert done.returncode == 1
    assert [record["status"] for record in duels(harness)] == ["failed"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f'exec {sys.executable} -I -S "$@"', "No module named 'harness'"),
        (f"echo '[\"0.0.9\", {protocol.VERSION - 1}]'", f"protocol {protocol.VERSION - 1}"),
    ],
    ids=["no harness", "another harness"],
)
def test_an_interpreter_without_this_harness_is_refused(harness, tmp_path, line, words):
    python = script(tmp_path / "python", line)
    done = harness("duel", "paced", f"paced python={python}", *PACED)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    for each in ("harness: paced", python, words):
        assert each in done.stderr


@pytest.mark.all_cpus
def test_configurations_may_differ_in_batch_size_variables_and_threads(harness):
    names = ("paced threads=1", "paced batch_size=50 env.SOME=1")
    out, record = with_a_pair(harness, *names, *PACED)
    assert "batch_size 100 (a:paced:plain), 50 (b:paced:plain)" in out
    assert "ratios are of the time per sample" in out
    # The same step with half the samples: twice the time per sample.
    assert record["results"][0]["ratio"]["value"] == pytest.approx(2 * _step_ratio(record), abs=0.05)
    assert record["configurations"][1]["variables"]["SOME"] == "1"
    wait_until(lambda: workers_of(harness) == [], 10)


def _step_ratio(record):
    """How many times as long a sleep of the second configuration took; 1 on a quiet machine."""
    pairs = []
    for pair in record["pairs"]:
        logs = [[], []]
        for block in pair["blocks"]:
            logs[block["configuration"]].append(math.log(block["seconds"] / block["steps"]))
        pairs.append(statistics.mean(logs[1]) - statistics.mean(logs[0]))
    return math.exp(statistics.mean(pairs))


@pytest.mark.long
def test_a_configuration_of_another_speed_has_its_own_block_length(harness):
    """Blocks of both take about the same time, and the ratio is of a step, not of a block."""
    out, record = with_a_pair(harness, "paced", "paced:fivefold", *PACED)
    blocks = record["pairs"][0]["blocks"]
    steps = [{block["steps"] for block in blocks if block["configuration"] == index} for index in (0, 1)]
    assert steps == [{12}, {3}]  # steps of 10 and 50 ms in blocks of at least 110, thirds of an epoch's 36
    assert record["results"][0]["ratio"]["value"] == pytest.approx(5.0, rel=0.03)
    assert re.search(r"^steps per block +12 +3$", out, re.MULTILINE)


@pytest.mark.skipif(sys.platform != "linux", reason="workers are stopped only on Linux")
def test_no_stopped_process_is_left_when_the_parent_is_killed(harness):
    """Nor one started by a framework."""
    harness.environment["PACED_CHILD_SECONDS"] = "600"
    child = "import time; time.sleep(600)"

    def is_stopped():
        return any(each.status() == psutil.STATUS_STOPPED for each in processes_of(harness, child))

    ended(harness, "duel", "paced", "paced:slower", *PACED, when=is_stopped, by=signal.SIGKILL)
    wait_until(lambda: not workers_of(harness) + processes_of(harness, child))


@pytest.mark.all_cpus
@pytest.mark.parametrize("threads", [pytest.param(1, marks=pytest.mark.long), 2])
def test_only_one_process_runs_at_a_time(harness, threads):
    """Once the first of them is stopped. Before, if there is a CPU for each, they build side by side.

    Processes of one thread then share a CPU.
    """
    process = harness.start("duel", "paced", "paced:slower", *PACED, "--threads", str(threads))
    running, begun, built_together, homes = set(), set(), False, {}
    until = time.monotonic() + 100
    while not any(record["pairs"] for record in duels(harness)) and time.monotonic() < until:
        try:
            workers = workers_of(harness)
            states, again = [[worker.status() for worker in workers] for _ in range(2)]
            cpus = {cpu for worker in workers for cpu in worker.cpu_affinity()}
        except psutil.Error:
            continue
        stopped, still = (
            [state == psutil.STATUS_STOPPED for state in reading] for reading in (states, again)
        )
        if len(workers) != 2 or stopped != still:  # a turn ended between the two readings
            continue
        pair = tuple(sorted(worker.pid for worker in workers))
        homes[pair] = cpus
        if any(stopped):
            begun.add(pair)
        if pair in begun:
            running.add(stopped.count(False))
        else:
            built_together = True
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert running <= {0, 1}
    assert 1 in running
    assert built_together == (usable_cpus() > 1)
    assert len(next(iter(homes.values()))) == min(threads, len(allowed_cpus()))
    (record,) = duels(harness)
    assert record["pairs"][0]["side_by_side"] == built_together


@pytest.mark.slow
def test_torch_with_itself_in_real_processes(harness):
    """The certificate is made, and record and table show real training."""
    one = ("--task", "mlp", "--threads", "1", "--turns", "2")
    out, record = with_a_pair(harness, "torch", "torch", *one)
    assert record["configurations"][0]["certificate"]["certified"]
    assert record["pairs"][0]["processes"][0]["first_step_seconds"] > 0
    assert record["pairs"][0]["processes"][0]["measured"]["peak_memory_bytes"] > 2**26
    assert "GFLOP/s (of NumPy's peak)" in out
    assert Path(out.rsplit("Record: ", 1)[1].strip()).name == f"{record['id']}.json"
