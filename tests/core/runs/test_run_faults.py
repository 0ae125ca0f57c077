"""Whatever a plugin, a framework or a user does to a run: the record states it, and no process is left."""

import json
import signal
from unittest.mock import Mock

import pytest
from support.processes import ended, processes_of, wait_until, workers_of
from support.records import make_request, save_runs

from harness.core.runs import execute
from harness.core.runs.claims import claim_paths
from harness.core.runs.store import RUNS
from harness.errors import NoWorkersHere

CERTIFIED = ("run", "--task", "cnn", "--dataset", "digits", "--epochs", "3", "--quiet")
DIGITS = (*CERTIFIED, "--no-certify")


#: Status and reason of a run by the mode of its backend.
FAULTS = {
    "ok": ("ok", ""),
    "print": ("ok", ""),
    "sigkill": ("failed", "SIGKILL (the system does this when memory runs out)"),
    "exit": ("failed", "exited with code 7"),
    "raise": ("failed", "RuntimeError: the kernel is on fire (faulty.py, line 52)"),
    "memory": ("failed", "the worker ran out of memory (MemoryError: could not allocate 8 TiB)"),
    "shape": ("failed", "backend faulty breaks the contract: train() of"),
    "silent-memory": ("failed", "ran out of memory (MemoryError); use a smaller --batch-size"),
    "fork": ("ok", ""),
    "nan": ("diverged", "(epoch 2) is not finite"),
    "unsupported": ("unsupported", "this mode supports nothing"),
}
#: Of backends that flood, crash or detach.
HOSTILE = {
    "segfault": ("failed", "killed by SIGSEGV"),
    "exit-0": ("failed", "the worker process exited with code 0"),
    "surrogate": ("failed", "RuntimeError: caf\\udce9 is closed (hostile.py, line"),
    "unprintable": ("failed", "Unprintable: its __str__ raised ValueError (hostile.py, line"),
    "long-error": ("failed", "[... 4,996,009 characters left out ...]"),
    "flood-reply": ("failed", "the worker was killed because its reply was longer than 64 MiB"),
    "flood-output": ("ok", ""),
    "detach": ("ok", ""),
}


def records_of(harness, backend, faults, *words):
    """The records of runs in these modes, each of which has its reason, and the call; nothing is left."""
    done = harness(*DIGITS, *words, "--backend", ",".join(f"{backend}:{mode}" for mode in faults))
    records = {record["configuration"]["mode"]: record for record in harness.records()}
    statuses = {mode: record["status"] for mode, record in records.items()}
    assert statuses == {mode: status for mode, (status, _) in faults.items()}
    for mode, (_, reason) in faults.items():
        assert reason in ((records[mode]["failure"] or {}).get("message", "")), mode
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert processes_of(harness) == []
    return records, done


@pytest.mark.slow
def test_every_hostile_backend_has_its_reason_and_leaves_nothing(harness):
    records, _ = records_of(harness, "hostile", HOSTILE, "--timeout", "120")
    failures = [record["failure"] for record in records.values() if record["failure"]]
    assert max(len(failure["traceback"]) for failure in failures) < 21_000


@pytest.mark.slow
def test_a_reply_that_never_ends_is_ended_at_the_time_limit(harness):
    words = ("--backend", "hostile:trickle-reply", "--timeout", "4")
    _, done = harness.recorded("timeout", *DIGITS, *words)
    assert "time limit of 4 s" in done.stdout


@pytest.mark.slow
def test_a_detached_process_ends_with_a_killed_harness(harness):
    hanging = (*DIGITS, "--backend", "hostile:detach-and-hang")
    ended(harness, *hanging, when=lambda: processes_of(harness, "1000"), by=signal.SIGKILL)
    wait_until(lambda: processes_of(harness) == [])


def test_a_fault_becomes_a_record_that_keeps_the_reason_and_affects_no_other_run(harness):
    records, done = records_of(harness, "faulty", FAULTS)
    assert all(reason in done.stdout for _, reason in FAULTS.values())

    killed = records["sigkill"]  # what was measured before is kept
    assert [epoch["epoch"] for epoch in killed["epochs"]] == [1]
    assert sum(block["steps"] for block in killed["blocks"]) >= 21
    assert killed["failure"]["signal"] == "SIGKILL"
    assert "about to be killed" in killed["failure"]["last_lines"]
    assert "in _fail" in records["raise"]["failure"]["traceback"]
    assert "the kernel is on fire" in harness("show", records["raise"]["id"]).stdout


def test_a_loss_that_the_backend_does_not_declare_is_declined(harness):
    words = ("--backend", "faulty:ok", "--set", "loss=mse_softmax")
    record, _ = harness.recorded("unsupported", *DIGITS, *words)
    assert (record["blocks"], "loss mse_softmax" in record["failure"]["message"]) == ([], True)


def test_a_declined_task_is_not_tried_with_every_seed(harness):
    done = harness(*DIGITS, "--backend", "faulty:unsupported,faulty:ok", "--seeds", "3")

    statuses = [record["status"] for record in harness.records()]
    assert (statuses.count("unsupported"), statuses.count("ok"), done.returncode) == (1, 3, 2)


@pytest.mark.parametrize("mode", ["hang", "hang-with-child"])
def test_a_run_that_hangs_is_ended_at_its_time_limit(harness, mode):
    record, done = harness.recorded("timeout", *DIGITS, "--backend", f"faulty:{mode}", "--timeout", "4")
    assert "time limit of 4 s" in done.stdout
    assert len(record["epochs"]) == 1
    assert processes_of(harness) == []


@pytest.mark.slow
def test_a_certification_that_hangs_is_ended_at_the_time_limit_and_the_run_goes_on(harness):
    record, done = harness.recorded("ok", *CERTIFIED, "--backend", "faulty:hang-certifying", "--timeout", "6")
    assert "time limit of 6 s" in record["certificate"]["reason"]
    assert "is not certified" in done.stdout
    assert processes_of(harness) == []


@pytest.mark.parametrize(
    ("mode", "limit", "status", "reason"),
    [
        ("exit-in-build", "60", "failed", "exited with code 3"),
        pytest.param(
            *("hang-in-build", "10", "timeout", "did not finish within the time limit of 10 s"),
            marks=pytest.mark.long,
        ),
        pytest.param("raise", "60", "failed", "the kernel is on fire", marks=pytest.mark.long),
    ],
)
def test_a_failed_certification_does_not_affect_the_next(harness, mode, limit, status, reason):
    done = harness(*CERTIFIED, "--backend", f"faulty:{mode},faulty:ok", "--timeout", limit)

    failed_run, sound = harness.records()
    assert (failed_run["status"], sound["status"], done.returncode) == (status, "ok", 1)
    assert not failed_run["certificate"]["certified"]
    assert not sound["certificate"]["certified"]
    if mode != "raise":  # which comes too late for the few steps of a case
        worker = "the worker process" if status == "failed" else "the worker"
        assert f"case 'sgd': {worker} {reason}" in failed_run["certificate"]["reason"]
    assert "Traceback" not in done.stdout + done.stderr
    assert processes_of(harness) == []


NOISY = """
import faulty
from harness.hookspecs import hookimpl

print("Thank you for choosing noisy!")

@hookimpl
def harness_backend(name):
    print("noisy was asked for", name)
    return faulty.harness_backend(name)
"""


def test_what_a_plugin_prints_when_it_is_imported_is_not_in_the_document(harness):
    (harness.folder / "noisy.py").write_text(NOISY)
    done = harness(*DIGITS, "--backend", "faulty:ok", "--plugin", "noisy.py", "--format", "json")

    assert [record["status"] for record in json.loads(done.stdout)["records"]] == ["ok"]
    assert "Thank you" in done.stderr
    assert "noisy was asked for faulty" in done.stderr


def test_check_continues_after_a_backend_that_fails(harness):
    done = harness("check", "faulty:exit-in-build,faulty:ok", "--task", "mlp,rnn")

    assert done.returncode == 1
    failed_run, sound = [line.split() for line in done.stdout.splitlines() if line.startswith("faulty:")][:2]
    assert failed_run == ["faulty:exit-in-build", "not", "checked", "not", "checked"]
    assert sound[:2] == ["faulty:ok", "DEVIATES"]
    assert "exited with code 3" in done.stdout
    assert processes_of(harness) == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_ended_and_records_what_did_not(harness, sent):
    def is_hanging():
        modes = [r["configuration"]["mode"] for r in harness.records() if len(r["epochs"]) == 1]
        return "hang" in modes and len(claim_paths(harness.folder / "results")) == 1

    backends = ("--backend", "faulty:ok,faulty:hang,faulty:ok", "--seeds", "1")
    done = ended(harness, *DIGITS, *backends, when=is_hanging, by=sent)
    assert [record["status"] for record in harness.records()] == ["ok", "interrupted"]
    assert done.returncode == 130
    assert "interrupted" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert processes_of(harness) == []
    assert claim_paths(harness.folder / "results") == []


def test_a_parent_that_is_killed_leaves_its_record_and_no_worker(harness, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    harness.environment["TMPDIR"] = str(temporary)
    process = harness.start(*DIGITS, "--backend", "faulty:hang")
    wait_until(lambda: [len(record["epochs"]) for record in harness.records()] == [1])
    assert len(workers_of(harness)) == 1
    assert len(list(temporary.glob("dl-harness-worker-*"))) == 1
    process.kill()
    process.communicate()

    wait_until(lambda: workers_of(harness) == [])
    (record,) = harness.records()
    assert (record["status"], len(record["epochs"])) == ("running", 1)
    wait_until(lambda: not list(temporary.iterdir()))
    listed = harness("list", "results").stdout
    assert "lost" in listed
    assert "running" not in listed
    assert "lost: the harness was killed" in harness("show", "last").stdout


def test_a_plugin_that_cannot_be_imported_is_named_and_affects_no_other(harness):
    done = harness(*DIGITS, "--backend", "unloadable")
    assert done.returncode == 2
    assert "'unloadable' (faulty 1.0)" in done.stderr
    listed = harness.ok("list", "backends").stdout
    assert ("broken" in listed, "faulty" in listed) == (True, True)


@pytest.mark.parametrize("in_the_way", ["results", "results/runs"])
def test_a_results_folder_that_cannot_be_is_found_before_training(harness, in_the_way):
    (harness.folder / in_the_way).parent.mkdir(exist_ok=True)
    (harness.folder / in_the_way).write_text("a file, not a folder")
    done = harness(*DIGITS, "--backend", "faulty:ok")
    assert (done.returncode, in_the_way in done.stderr, "Traceback" in done.stderr) == (2, True, False)
    assert ("Give another folder: --results DIR" in done.stderr) == (in_the_way == "results/runs")


def test_where_no_worker_can_be_started_the_record_keeps_why(tmp_path, monkeypatch):
    def nowhere(*_, **__):
        raise NoWorkersHere("set TMPDIR to one")

    monkeypatch.setattr(execute, "Session", nowhere)
    store = save_runs(tmp_path)
    with pytest.raises(NoWorkersHere):
        execute.execute(make_request(), None, store, Mock())
    record = RUNS.read(store.paths()[0])
    assert (record.status, record.failure.message) == ("failed", "set TMPDIR to one")


def test_an_interrupt_while_the_first_record_is_written_is_recorded(tmp_path, monkeypatch):
    store = save_runs(tmp_path)
    save, saved = store.save, []

    def interrupted_once(record):
        save(record)
        saved.append(record)
        if len(saved) == 1:
            raise KeyboardInterrupt("SIGTERM")

    monkeypatch.setattr(store, "save", interrupted_once)
    assert execute.execute(make_request(), None, store, Mock()).status == "interrupted"
    record = RUNS.read(store.paths()[0])
    assert (record.status, record.failure.message) == ("interrupted", "interrupted by SIGTERM")
