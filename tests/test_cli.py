"""The commands as a user meets them: what they print, what they refuse, and what they never import."""

import json
import subprocess
import sys

import pytest

FAULTY = ("run", "--task", "cnn", "--backend", "faulty:ok", "--dataset", "digits")
HEAVY = ("torch", "tensorflow", "keras", "jax", "pandas", "scipy", "sklearn", "numpy", "rich")


def imported_by(harness, *arguments: str) -> set[str]:
    code = (
        "import sys, harness.cli\n"
        f"sys.argv = ['harness', *{arguments!r}]\n"
        "try:\n    harness.cli.main()\nexcept SystemExit:\n    pass\n"
        "print('IMPORTED', *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=harness.folder,
        env=harness.environment | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.rpartition("IMPORTED")[2].split())


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("list",), ("list", "tasks")])
def test_help_and_list_import_nothing_heavy(harness, arguments):
    imported = imported_by(harness, *arguments)
    assert "click" in imported
    heavy = set(HEAVY) - ({"numpy", "rich"} if arguments[0] == "run" else set())
    assert imported & heavy == set()


def test_help_names_every_command(harness):
    printed = harness("--help").stdout
    for command in ("run", "list", "show", "data", "doctor"):
        assert f"  {command} " in printed
        helped = harness(command, "--help")
        assert helped.returncode == 0
        assert "Usage: harness " + command in helped.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--backend", "tork", "--task", "cnn"), "unknown backend 'tork'. Did you mean 'torch'?"),
        (("run", "--backend", "torch:eagre", "--task", "cnn"), "Did you mean 'eager'?"),
        (("run", "--backend", "torch", "--task", "cnm"), "unknown task 'cnm'. Did you mean 'cnn'?"),
        ((*FAULTY, "--dataset", "cifar"), "unknown data set 'cifar'. Did you mean 'cifar10'?"),
        ((*FAULTY, "--set", "widht=2"), "unknown option of task cnn 'widht'. Did you mean 'width'? Known: "),
        ((*FAULTY, "--set", "width=banana"), "--set width=banana: width takes a number > 0"),
        ((*FAULTY, "--set", "width"), "write KEY=VALUE"),
        ((*FAULTY, "--set", "optimizer=adma"), "one of adam, gd, rmsprop, sgd"),
        ((*FAULTY, "--set", "learning_rate=nan"), "learning_rate takes a number > 0"),
        ((*FAULTY, "--set", "dropout=1"), "dropout takes a number >= 0 and < 1"),
        ((*FAULTY, "--set", "nesterov=true"), "momentum"),
        ((*FAULTY, "--seeds", "0"), "'--seeds': 0 is not in the range 1<=x<=10000"),
        ((*FAULTY, "--epochs", "-1"), "'--epochs': -1 is not in the range x>=1"),
        ((*FAULTY, "--seed", "1", "--seeds", "2"), "not both"),
        ((*FAULTY, "--device", "gpu"), "'gpu' is none of auto, cpu, cuda, cuda:1"),
        ((*FAULTY, "--precision", "float16"), "'float16' is not one of"),
        ((*FAULTY, "--batch-size", "2000"), "batch size 2000 is larger than the 1293 training samples"),
        ((*FAULTY, "--timeout", "0"), "'--timeout': 0.0 is not in the range x>0"),
        (("run", "--task", "cnn"), "name at least one with --backend, or run everything small with --preset"),
        (("run", "--backend", "torch", "--task", ","), "name at least one with --task"),
        (("run", "--preset", "smok"), "'smok' is not 'smoke'"),
        (("check", "tork"), "unknown backend 'tork'. Did you mean 'torch'?"),
        (("check", "torch", "--task", "cnm"), "unknown task 'cnm'. Did you mean 'cnn'?"),
        (("rnu",), "unknown command 'rnu'. Did you mean 'run'?"),
        (("show", "last"), "no records in "),
    ],
)
def test_bad_input_is_answered_in_a_line_with_what_would_be_right(harness, arguments, message):
    done = harness(*arguments)
    assert done.returncode == 2
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not [record for record in harness.records() if record["status"] == "ok"]


def test_a_missing_framework_is_answered_with_the_pip_line(harness, tmp_path):
    folder = tmp_path / "more"
    (folder / "absent-1.dist-info").mkdir(parents=True)
    (folder / "absent-1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: absent\nVersion: 1\n"
    )
    (folder / "absent-1.dist-info" / "entry_points.txt").write_text(
        "[harness.backends]\nabsent = absent_backend\n"
    )
    (folder / "absent_backend.py").write_text(
        "from faulty import FaultyBackend, hookimpl\n"
        "class Absent(FaultyBackend):\n"
        "    name = 'absent'\n    requires = ('no-such-framework>=2',)\n    extra = 'absent'\n"
        "@hookimpl\ndef harness_backend(name): return Absent()\n"
    )
    path = f"{folder}:{harness.environment['PYTHONPATH']}"

    done = harness("run", "--backend", "absent", "--task", "cnn", PYTHONPATH=path)
    assert done.returncode == 2
    assert 'not installed: pip install "no-such-framework>=2" (extra: absent)' in done.stderr
    assert "not installed" in harness("list", "backends", PYTHONPATH=path).stdout


def test_json_is_one_document_and_nothing_else_on_standard_output(harness):
    done = harness(*FAULTY, "--epochs", "2", "--seeds", "2", "--format", "json")
    document = json.loads(done.stdout)
    assert [record["seed"] for record in document["records"]] == [0, 1]
    assert document["records"] == harness.records()
    assert "epoch 2/2" in done.stderr


def test_quiet_prints_the_outcome_alone(harness):
    done = harness(*FAULTY, "--epochs", "1", "--quiet")
    assert done.stderr == ""
    assert "test accuracy / loss" in done.stdout


def test_the_table_ends_with_the_record_and_what_to_type_next(harness):
    done = harness(*FAULTY, "--epochs", "1")
    (record,) = harness.records()
    assert f"results/runs/{record['id']}.json" in done.stdout
    assert done.stdout.rstrip().endswith(f"harness show {record['id']}")
    assert record["id"] in harness("show", record["id"][:20]).stdout
    assert json.loads(harness("show", "last", "--format", "json").stdout) == record
    assert record["id"] in harness("list", "results").stdout


def test_without_cifar10_the_stand_in_is_named_in_one_line_and_in_the_record(harness):
    done = harness("run", "--task", "cnn", "--backend", "faulty:ok", "--max-steps", "3")
    told = [line for line in done.stderr.splitlines() if "in place of" in line]
    assert len(told) == 1
    assert "Running on digits in place of cifar10:" in told[0]
    (record,) = harness.records()
    assert record["dataset"]["name"] == "digits"
    assert record["dataset"]["stands_in_for"] == "cifar10"
    assert record["dataset"]["reason"]


def test_a_data_set_asked_for_by_name_is_had_or_refused(harness):
    done = harness("run", "--task", "cnn", "--backend", "faulty:ok", "--dataset", "cifar10")
    assert done.returncode == 2
    assert "harness data import cifar10 PATH" in done.stderr
    assert harness.records() == []


def test_max_steps_ends_in_the_middle_of_an_epoch_and_is_scored(harness):
    harness(*FAULTY, "--max-steps", "30", "--epochs", "5")
    (record,) = harness.records()
    assert [epoch["steps"] for epoch in record["epochs"]] == [21, 30]
    assert sum(block["steps"] for block in record["blocks"]) == 30
    assert record["test_at_last"] is not None


def test_options_reach_the_task(harness):
    harness(
        *FAULTY, "--max-steps", "1", "--batch-size", "32", "--set", "learning_rate=0.5", "--set", "width=0.5"
    )
    (record,) = harness.records()
    assert record["batch_size"] == 32
    assert record["task"]["options"]["learning_rate"] == 0.5
    assert record["task"]["description"]["optimizer"]["learning_rate"] == 0.5
    assert record["parameters"] < 315_722 / 2
    assert record["command"][0] == "run"


def test_a_closed_reader_is_no_error(harness):
    done = subprocess.run(
        f"{sys.executable} -m harness list | true",
        shell=True,
        cwd=harness.folder,
        env=harness.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_show_tells_of_files_that_are_no_records(harness):
    folder = harness.folder / "results" / "runs"
    folder.mkdir(parents=True)
    for name, content, told in (
        ("20260101-foreign", '{"a": 1}', "missing required field `schema`"),
        ("20260102-newer", '{"schema": 99}', "schema 99 is newer"),
        ("20260103-cut", '{"schema": 1, "id": "x', "truncated"),
    ):
        (folder / f"{name}.json").write_text(content)
        done = harness("show", name)
        assert done.returncode == 2
        assert told in done.stderr
        assert f"{name}.json" in done.stderr


def test_doctor_names_a_framework_that_does_not_work_and_goes_on(harness):
    done = harness("doctor")
    assert "faulty" in done.stdout
    assert "works" in done.stdout
    assert "unloadable" in done.stdout
    assert "born broken" in done.stdout.replace("\n", " ")
    assert done.returncode == 1
