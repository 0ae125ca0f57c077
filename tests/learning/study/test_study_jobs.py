"""A study with two runs at once: the same trials and results as with one, and nothing is lost."""

import contextlib
import signal

import psutil
import pytest
from support.processes import ended, processes_of, wait_until

from harness.core.runs.claims import claim_paths
from harness.core.runs.jobs import outcome_of
from harness.core.runs.store import RUNS

STUDY = ("study", "optimizers", "--backend", "torch", "--task", "mlp", "--variants", "adam,sgd")
EPOCHS = 25
CALL = (*STUDY, "--trials", "2", "--seeds", "2", "--epochs", str(EPOCHS), "--no-certify", "--quiet")


def results_of(harness):
    """What each trial and each run has computed, by seed and task."""
    paths = sorted((harness.folder / "results" / "runs").glob("*.json"))
    records = [record for record in map(RUNS.read, paths) if record.status in {"ok", "stopped"}]
    results = {(record.seed, record.task.sha256): outcome_of(record) for record in records}
    assert len(results) == len(records)  # none was made twice
    return results


@pytest.fixture(scope="module")
def alone(harness_in, tmp_path_factory):
    """The results of the study with one run at a time."""
    harness = harness_in(tmp_path_factory.mktemp("alone"))
    harness.ok(*CALL, "--jobs", "1")
    results = results_of(harness)
    assert len(results) == 2 * 2 + 2 * 2
    return results


def under_way(harness):
    """Check that two runs have scored an epoch, and stop their workers, so that neither run can end."""

    def check():
        workers = [process for process in processes_of(harness) if is_worker(process)]
        signal_all(workers, signal.SIGSTOP)
        training = [
            record
            for record in harness.records()
            if record["status"] == "running" and 0 < len(record["epochs"]) < EPOCHS - 2
        ]
        if len(training) > 1:
            return True
        signal_all(workers, signal.SIGCONT)
        return False

    return check


def is_worker(process):
    """Check that a process is a worker: fresh, or forked from a template, whose words it has."""
    words = process.info["cmdline"]
    with contextlib.suppress(psutil.Error):
        forked = any("template_process" in word for word in words) and process.parent().cmdline() == words
        return forked or "harness.core.worker" in words
    return False


def signal_all(processes, number):
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_study_that_is_ended_leaves_no_process_and_goes_on(harness, alone, by):
    done = ended(harness, *CALL, "--jobs", "2", when=under_way(harness), by=by)
    killed = by == signal.SIGKILL
    assert done.returncode == (-by if killed else 130), done.stderr
    assert "Traceback" not in done.stderr
    if killed:
        wait_until(lambda: not processes_of(harness))
    else:
        assert (processes_of(harness), claim_paths(harness.folder / "results")) == ([], [])
    expected = {"running" if killed else "interrupted"}
    assert expected <= {record["status"] for record in harness.records()} <= expected | {"ok", "stopped"}
    harness.ok(*CALL, "--jobs", "2")
    assert results_of(harness) == alone
    assert claim_paths(harness.folder / "results") == []
