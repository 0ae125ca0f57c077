"""The commands as a user meets them: help, versions, listings, and what a run prints and records."""

import json
import platform
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.made_records import made_setting
from support.plugin_files import install
from support.records import make_record, save_runs

from harness.core.shell.main import commands

FAULTY = ("run", "--task", "cnn", "--backend", "faulty:ok", "--dataset", "digits", "--no-certify")


@pytest.mark.parametrize("command", commands())
def test_every_command_is_named_and_has_help(quick, command):
    assert f"\n  {command} " in quick("--help").stdout
    helped = quick(command, "--help")
    assert (helped.returncode, helped.stdout.split()[:3]) == (0, ["Usage:", "harness", command])


def test_the_version_is_one_line_and_v_adds_python_and_the_frameworks(quick):
    version = f"harness, version {metadata.version('dl-harness')}"
    assert quick("--version").stdout == f"{version}\n"
    own, blank, *lines = quick("-v", "--version").stdout.splitlines()
    assert [own, blank, *lines] == quick("--version", "-v").stdout.splitlines()
    versions = dict(line.split(maxsplit=1) for line in lines)
    assert (own, blank, versions["python"]) == (version, "", platform.python_version())
    if find_spec("torch"):
        assert versions["torch"] == f"torch {metadata.version('torch')}"


def test_a_missing_framework_is_answered_with_the_pip_line(harness, tmp_path):
    absent = (
        "from faulty import FaultyBackend, hookimpl\n"
        "class Absent(FaultyBackend):\n"
        "    name = 'absent'\n    requires = ('no-such-framework>=2',)\n    extra = 'absent'\n"
        "@hookimpl\ndef harness_backend(name): return Absent()\n"
    )
    install(tmp_path / "more", "absent", {"absent_backend": absent}, backends={"absent": "absent_backend"})
    path = f"{tmp_path / 'more'}:{harness.environment['PYTHONPATH']}"
    done = harness("run", "--backend", "absent", "--task", "cnn", PYTHONPATH=path)
    assert done.returncode == 2
    assert 'pip install "no-such-framework>=2" (extra: absent)' in done.stderr
    assert "not installed" in harness("list", "backends", PYTHONPATH=path).stdout


def test_json_is_one_document_and_nothing_else_on_standard_output(harness):
    done = harness(*FAULTY, "--epochs", "2", "--seeds", "2", "--format", "json")
    document = json.loads(done.stdout)
    assert [record["seed"] for record in document["records"]] == [0, 1]
    assert document["records"] == harness.records()
    assert "[2/2] cnn faulty:ok seed 1" in done.stderr


def test_without_cifar10_the_stand_in_is_named_in_one_line_and_in_the_record(harness):
    words = ("--task", "cnn", "--backend", "faulty:ok", "--max-steps", "3", "--no-certify")
    record, done = harness.recorded("ok", "run", *words)
    assert len([line for line in done.stderr.splitlines() if "digits is used instead" in line]) == 1
    assert (record["dataset"]["name"], record["dataset"]["stands_in_for"]) == ("digits", "cifar10")
    assert record["dataset"]["reason"]


def test_options_reach_the_task_and_max_steps_ends_in_the_middle_of_an_epoch_which_is_scored(harness):
    values = ("--batch-size", "32", "--set", "learning_rate=0.5", "--set", "width=0.5")
    record, done = harness.recorded("ok", *FAULTY, "--max-steps", "50", "--epochs", "5", "--quiet", *values)
    assert (done.stderr, "test accuracy" in done.stdout) == ("", True)
    assert [epoch["steps"] for epoch in record["epochs"]] == [41, 50]
    assert sum(block["steps"] for block in record["blocks"]) == 50
    assert record["test_at_last"] is not None
    assert record["batch_size"] == 32
    assert record["task"]["options"]["learning_rate"] == 0.5
    assert record["task"]["description"]["optimizer"]["learning_rate"] == 0.5
    assert record["parameters"] < 315_722 / 2
    assert record["command"][0] == "run"


@pytest.mark.parametrize("arguments", ["list", "--help"])
def test_a_reader_that_leaves_early_ends_it_in_silence(harness, arguments):
    assert harness.in_shell(f"harness {arguments} | true").stderr == ""


FULL = "No space left on device"


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("harness list >&-", 2, "standard output is closed"),
        ("harness list >/dev/full", 1, FULL),
        ("harness --help >/dev/full", 1, FULL),
        (f"harness {' '.join(FAULTY)} --max-steps 1 --format json --quiet >/dev/full", 1, FULL),
    ],
)
def test_output_that_cannot_be_written_is_reported_in_a_line(harness, line, code, message):
    if "/dev/full" in line and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    done = harness.in_shell(line)
    assert (done.returncode, len(done.stderr.splitlines())) == (code, 1)
    assert message in done.stderr


@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full", "2> >(true)"])
def test_a_run_continues_when_standard_error_cannot_be_written(harness, stream):
    done = harness.in_shell(f"harness {' '.join(FAULTY)} --epochs 2 {stream}")
    assert done.returncode == 0
    assert [record["status"] for record in harness.records()] == ["ok"]
    assert "test accuracy" in done.stdout


def test_the_last_record_is_the_newest_that_can_be_read(quick):
    store = save_runs(quick.folder / "results", make_record("20260101-000000-000-old"))
    (store.folder / "20260102-000000-000-cut.json").write_text('{"schema": 1')
    done = quick("show", "last")
    assert done.returncode == 0
    assert "20260101-000000-000-old" in done.stdout
    assert "20260102-000000-000-cut.json" in done.stderr


def test_results_are_listed_newest_first_and_no_others_are_read(quick):
    names = [f"2026010{day}-000000-000-x" for day in range(1, 6)]
    records = [make_record(name, backend="keras", mode="fit") for name in names[:2]]
    records.append(made_setting(3, optimizer="adam", learning_rate=0.01, id=names[2]))
    store = save_runs(quick.folder / "results", *records)
    (store.folder / f"{names[3]}.json").write_text('{"schema": 1')
    printed = quick("list", "results", "--limit", "2", COLUMNS="160").stdout.splitlines()
    assert printed[-3].split() == ["20260104-000000", "run", "–", "–", "unreadable"]
    words = ["20260103-000000", "run", "cnn", "torch:eager", "seed", "3,", "optimizer=adam", "accuracy"]
    assert printed[-2].split()[:8] == words  # 0.01 is the task's learning rate
    assert printed[-1].startswith("2 older results")
    store.save(make_record(names[4]))
    assert "unreadable" not in quick("list", "results", "--limit", "1").stdout


@pytest.mark.parametrize("arguments", ["list", "list tasks", "data list", "show last"])
def test_tables_fit_a_narrow_terminal(quick, arguments):
    save_runs(quick.folder / "results", make_record())
    printed = quick(*arguments.split(), COLUMNS="66").stdout
    tables = printed.partition("\nRun\n")[0].splitlines()[arguments.startswith("show") :]
    assert max(map(len, tables)) <= 66


@pytest.mark.slow
def test_doctor_names_a_framework_that_does_not_work_and_goes_on(harness):
    done = harness("doctor")
    words = done.stdout.split()
    assert {"faulty", "works", "unloadable"} <= {word.strip(":,") for word in words}
    assert "this plugin is broken" in " ".join(words)
    assert done.returncode == 1


def test_a_task_is_listed_with_its_layers_and_options(quick, snapshot):
    done = quick("list", "lm", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert done.stdout == snapshot
