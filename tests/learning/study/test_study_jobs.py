"""A study with two runs at once: the same trials and results as with one, and nothing is lost."""

import contextlib
import random
import shutil
import signal
import subprocess

import psutil
import pytest
from support.command import COMMAND
from support.processes import ended, processes_of, wait_until

from harness.core.runs.claims import claim_paths
from harness.core.runs.jobs import outcome_of
from harness.core.runs.sharing import FINISHED
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


def study_file(harness):
    """The name and the content of the only study, which states settings, trials and no times."""
    (path,) = (harness.folder / "results" / "studies").glob("*.json")
    return path.name, path.read_text()


@pytest.fixture(scope="module")
def uninterrupted(harness_in, tmp_path_factory):
    """The results of the study with one run at a time."""
    harness = harness_in(tmp_path_factory.mktemp("alone"))
    harness.ok(*CALL, "--jobs", "1")
    results = results_of(harness)
    assert len(results) == 2 * 2 + 2 * 2
    return results, study_file(harness)


@pytest.fixture
def alone(uninterrupted):
    """What a study computes that makes one run at a time."""
    return uninterrupted[0]


@pytest.fixture
def alone_study(uninterrupted):
    return uninterrupted[1]


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


@pytest.mark.parametrize(
    "by",
    [
        pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
        *(pytest.param(each, marks=pytest.mark.long) for each in (signal.SIGINT, signal.SIGTERM)),
    ],
)
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


#: How often a study is ended, in a drawn order.
ENDINGS = [signal.SIGKILL] * 10 + [signal.SIGINT] * 3 + [signal.SIGTERM] * 2
#: The longest time between the start of the first worker and the end.
LONGEST_SECONDS = 6.0


def finished(harness):
    """The names of the records of runs that need not be done again."""
    paths = (harness.folder / "results" / "runs").glob("*.json")
    return {path.name for path in paths if RUNS.read(path).status in FINISHED}


def at_a_drawn_moment(harness, process, chance, by):
    """End a command that has a worker; return False if it has ended before."""

    def began():
        return process.poll() is not None or any(map(is_worker, processes_of(harness)))

    wait_until(began)
    try:
        process.wait(chance.uniform(0, LONGEST_SECONDS))
    except subprocess.TimeoutExpired:
        process.send_signal(by)
        return True
    return False


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_study_that_is_ended_again_and_again_loses_nothing(
    alone, alone_study, harness_in, tmp_path_factory
):
    """Each folder gets the same command until its study is complete; then the next folder is used."""
    chance = random.Random(56)  # noqa: S311
    endings = chance.sample(ENDINGS, len(ENDINGS))
    while endings:
        harness, known, is_complete = harness_in(tmp_path_factory.mktemp("ended")), set(), False
        while not is_complete:
            process = harness.start(*CALL, "--jobs", "2")
            is_ended = bool(endings) and at_a_drawn_moment(harness, process, chance, endings[0])
            _, errors = process.communicate(timeout=600)
            by = endings.pop(0) if is_ended else None
            assert process.returncode == {None: 0, signal.SIGKILL: -signal.SIGKILL}.get(by, 130), errors
            assert "Traceback" not in errors
            if by == signal.SIGKILL:
                wait_until(lambda harness=harness: not processes_of(harness))
            else:
                assert (processes_of(harness), claim_paths(harness.folder / "results")) == ([], [])
            now = finished(harness)
            assert now >= known
            known, is_complete = now, by is None
        assert results_of(harness) == alone
        assert study_file(harness) == alone_study


#: Mounts a small disk as the folder of results, calls a command, and calls it again with enough room.
FULL_THEN_ROOMY = """
mkdir results && mount -t tmpfs -o size=$1 none results && shift || exit 99
"$@" && exit 98
echo "ended with $?" >&2
mount -o remount,size=64m results && "$@" && cp -r results kept
"""


@pytest.mark.long
def test_a_study_on_a_full_disk_goes_on_once_there_is_room(harness, alone, alone_study):
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    shell = ["unshare", "--mount", "--map-root-user", "sh", "-c", FULL_THEN_ROOMY, "sh", "96k"]
    done = subprocess.run(
        [*shell, *COMMAND, *CALL, "--jobs", "2"],
        cwd=harness.folder,
        env=harness.environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode == 99:
        pytest.skip("this system allows no mount")
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stderr
    assert "ended with 1" in done.stderr
    assert "Traceback" not in done.stderr
    assert processes_of(harness) == []
    (harness.folder / "kept").rename(harness.folder / "results")
    assert results_of(harness) == alone
    assert study_file(harness) == alone_study
    assert claim_paths(harness.folder / "results") == []
