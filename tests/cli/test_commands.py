"""The commands as a user meets them: what they print, what they refuse, and what they never import."""

import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.made_runs import made_setting
from support.records import make_record

from harness.runs.store import Store

FAULTY = ("run", "--task", "cnn", "--backend", "faulty:ok", "--dataset", "digits", "--no-certify")
needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
READING = ("run", "compare", "report", "study")
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
        env=harness.environment | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.rpartition("IMPORTED")[2].split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("run", "--help"),
        ("compare", "--help"),
        ("report", "--help"),
        ("study", "overfitting", "--help"),
        ("list",),
        ("--version", "-v"),
    ],
)
def test_help_and_list_import_nothing_heavy(harness, arguments):
    imported = imported_by(harness, *arguments)
    assert "click" in imported
    heavy = set(HEAVY) - ({"numpy", "rich"} if arguments[0] in READING else set())
    assert imported & heavy == set()


def test_help_names_every_command(quick):
    printed = quick("--help").stdout
    for command in ("run", "list", "show", "data", "doctor"):
        assert f"  {command} " in printed
        helped = quick(command, "--help")
        assert helped.returncode == 0
        assert "Usage: harness " + command in helped.stdout


def test_the_version_is_one_line_and_v_adds_python_and_the_frameworks(quick):
    version = f"harness, version {metadata.version('dl-harness')}"
    assert quick("--version").stdout == f"{version}\n"
    own, blank, *lines = quick("-v", "--version").stdout.splitlines()
    assert [own, blank, *lines] == quick("--version", "-v").stdout.splitlines()
    versions = dict(line.split(maxsplit=1) for line in lines)
    assert (own, blank, versions["python"]) == (version, "", platform.python_version())
    if find_spec("torch"):
        assert versions["torch"] == f"torch {metadata.version('torch')}"


TORCH = ("run", "--task", "cnn", "--backend", "torch", "--dataset", "digits")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--backend", "tork", "--task", "cnn"), "unknown backend 'tork'. Did you mean 'torch'?"),
        (("run", "--backend", "torch:eagre", "--task", "cnn"), "Did you mean 'eager'?"),
        (("run", "--backend", "torch", "--task", "cnm"), "unknown task 'cnm'. Did you mean 'cnn'?"),
        ((*TORCH, "--dataset", "cifar"), "unknown data set 'cifar'. Did you mean 'cifar10'?"),
        ((*TORCH, "--set", "widht=2"), "unknown option 'widht' of task cnn. Did you mean 'width'? Known: "),
        ((*TORCH, "--set", "width=banana"), "--set width=banana: width takes a number > 0"),
        ((*TORCH, "--set", "width"), "write KEY=VALUE"),
        ((*TORCH, "--set", "optimizer=adma"), "one of adam, gd, rmsprop, sgd"),
        ((*TORCH, "--set", "optimizer=adam,adamw"), "AdamW is adam with --set weight_decay=VALUE."),
        ((*TORCH, "--set", "learning_rate=nan"), "learning_rate takes a number > 0"),
        ((*TORCH, "--set", "dropout=1"), "dropout takes a number >= 0 and < 1"),
        ((*TORCH, "--set", "nesterov=true"), "momentum"),
        ((*TORCH, "--learning-rate", "0.1"), "--set learning_rate=VALUE"),
        ((*TORCH, "--seeds", "0"), "'--seeds': 0 is not in the range 1<=x<=10000"),
        ((*TORCH, "--epochs", "-1"), "'--epochs': -1 is not in the range x>=1"),
        ((*TORCH, "--seed", "1", "--seeds", "2"), "not both"),
        ((*TORCH, "--device", "gpu"), "'gpu' is not a device. Write auto, cpu, cuda or cuda:N."),
        ((*TORCH, "--precision", "float16"), "'float16' is not one of"),
        ((*TORCH, "--batch-size", "2000"), "batch size 2000 is larger than the 1,293 training samples"),
        ((*TORCH, "--set", "optimizer=gd", "--batch-size", "64"), "takes all training data at once"),
        ((*TORCH, "--results", "r\udce9"), "'r\\udce9' is not UTF-8"),
        ((*TORCH, "--timeout", "0"), "'--timeout': '0': a duration must be above 0"),
        ((*TORCH, "--timeout", "5min"), "Write 90s, 5m or 1h"),
        (("run", "--bakend", "torch"), "Did you mean '--backend'? See: harness run --help"),
        (("run", "--task", "cnn"), "--backend is missing."),
        (("run", "--backend", "torch", "--task", ","), "--task is missing."),
        (("run", "--backend", "tensorflow", "--task", "cnn"), "Did you mean 'keras'?"),
        (("run", "--backend", "torch", "--task", "cifar10"), "Did you mean 'cnn'?"),
        (("run", "--preset", "smok"), "'smok' is not 'smoke'"),
        (("run", "--task", "mlp", "--track", "mlfow"), "unknown tracker 'mlfow'. Did you mean 'mlflow'"),
        ((*TORCH, "--track-uri", "http://x"), "add --track mlflow"),
        (("check", "tork"), "unknown backend 'tork'. Did you mean 'torch'?"),
        (("check", "torch", "--device", "gpu"), "'gpu' is not a device"),
        (("check", "torch", "--task", "cnm"), "unknown task 'cnm'. Did you mean 'cnn'?"),
        (("reference", "mlp", "--backend", "torch"), "a reference needs two frameworks"),
        (("list", "foo"), "invalid value for 'KIND': 'foo' is not one of"),
        (("duel", "torch"), "a duel takes 2 to 4 configurations"),
        (("duel", "torch:*", "torch:*", "--task", "cnn"), "these are 6: torch:eager, "),
        (("report", "--to", "missing/page.html"), "the folder missing does not exist"),
        (("study", "imbalance", "--task", "forecast", "--backend", "torch"), "has no option imbalance"),
        (("study", "overfitting", "--task", "mlp", "--backend", "torch", "--set", "widht=2"), "'width'?"),
        (
            ("study", "imbalance", "--task", "mlp", "--backend", "torch", "--set", "imbalance=0.05"),
            "study imbalance sets this option",
        ),
        (("-v",), "-v belongs to --version: harness --version -v"),
        (("rnu",), "unknown command 'rnu'. Did you mean 'run'?"),
        (("show", "last"), "no records in "),
    ],
)
@needs_torch
def test_bad_input_is_answered_in_one_line_with_the_remedy(quick, arguments, message):
    done = quick(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.startswith("harness: ")
    assert len(done.stderr.splitlines()) == 1
    assert not list(quick.folder.glob("results/*/*.json"))


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
    assert "[2/2] cnn faulty:ok seed 1: test accuracy" in done.stderr


def test_quiet_prints_the_outcome_alone(harness):
    done = harness(*FAULTY, "--epochs", "1", "--quiet")
    assert done.stderr == ""
    assert "test accuracy" in done.stdout


def test_verbose_prints_every_measurement_and_the_result_ends_with_the_record(harness):
    done = harness(*FAULTY, "--epochs", "1", "--verbose")
    (record,) = harness.records()
    rows = {line[:30].strip(): line[30:].strip() for line in done.stdout.splitlines()}
    assert rows["steps"] == "21"
    assert rows["data fingerprint"] == record["dataset"]["fingerprint"][:12]
    assert rows["data origin"].startswith("scikit-learn's")
    assert record["interference"]["cpus"] >= 1
    assert f"results/runs/{record['id']}.json" in done.stdout
    assert "Details: harness show last" in done.stdout.splitlines()
    assert record["id"] in harness("show", record["id"][:20]).stdout
    assert json.loads(harness("show", "last", "--format", "json").stdout) == record
    assert record["id"][:15] in harness("list", "results").stdout


def test_without_cifar10_the_stand_in_is_named_in_one_line_and_in_the_record(harness):
    done = harness("run", "--task", "cnn", "--backend", "faulty:ok", "--max-steps", "3", "--no-certify")
    lines = [line for line in done.stderr.splitlines() if "is used instead" in line]
    assert len(lines) == 1
    assert "Data set cifar10 is not available, digits is used instead:" in lines[0]
    (record,) = harness.records()
    assert record["dataset"]["name"] == "digits"
    assert record["dataset"]["stands_in_for"] == "cifar10"
    assert record["dataset"]["reason"]


@needs_torch
def test_a_data_set_that_is_named_is_required(quick):
    done = quick(*TORCH, "--dataset", "cifar10")
    assert done.returncode == 2
    assert "harness data import cifar10 PATH" in done.stderr


def test_options_reach_the_task_and_max_steps_ends_in_the_middle_of_an_epoch_which_is_scored(harness):
    values = ("--batch-size", "32", "--set", "learning_rate=0.5", "--set", "width=0.5")
    harness(*FAULTY, "--max-steps", "50", "--epochs", "5", *values)
    (record,) = harness.records()
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


FULL = "cannot write the output: No space left on device"


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
    assert done.returncode == code
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full", "2> >(true)"])
def test_a_run_continues_when_standard_error_cannot_be_written(harness, stream):
    done = harness.in_shell(f"harness {' '.join(FAULTY)} --epochs 2 {stream}")
    assert done.returncode == 0
    assert [record["status"] for record in harness.records()] == ["ok"]
    assert "test accuracy" in done.stdout


def test_show_names_files_that_are_no_records(quick):
    folder = quick.folder / "results" / "runs"
    folder.mkdir(parents=True)
    for name, content, message in (
        ("20260101-foreign", '{"a": 1}', "missing required field `schema`"),
        ("20260102-newer", '{"schema": 99}', "it has schema 99"),
        ("20260103-cut", '{"schema": 1, "id": "x', "truncated"),
    ):
        (folder / f"{name}.json").write_text(content)
        done = quick("show", name)
        assert done.returncode == 2
        assert message in done.stderr
        assert f"{name}.json" in done.stderr


def test_the_last_record_is_the_newest_that_can_be_read(quick):
    store = Store(quick.folder / "results")
    store.prepare()
    store.save(make_record("20260101-000000-000-old"))
    (store.folder / "20260102-000000-000-cut.json").write_text('{"schema": 1')
    done = quick("show", "last")
    assert done.returncode == 0
    assert "20260101-000000-000-old" in done.stdout
    assert "skipped: results/runs/20260102-000000-000-cut.json is not a readable run record" in done.stderr


def test_results_are_listed_newest_first_and_no_others_are_read(quick):
    store = Store(quick.folder / "results")
    store.prepare()
    for day in (1, 2):
        store.save(make_record(f"2026010{day}-000000-000-x", backend="keras", mode="fit"))
    store.save(made_setting(3, optimizer="adam", learning_rate=0.01, id="20260103-000000-000-x"))
    (store.folder / "20260104-000000-000-cut.json").write_text('{"schema": 1')
    printed = quick("list", "results", "--limit", "2", COLUMNS="160").stdout.splitlines()
    assert printed[-3].split() == ["20260104-000000", "run", "–", "–", "unreadable"]
    words = ["20260103-000000", "run", "cnn", "torch:eager", "seed", "3,", "optimizer=adam", "accuracy"]
    assert printed[-2].split()[:8] == words  # 0.01 is the task's learning rate
    assert printed[-1] == "2 older results are not shown (--limit N)"
    store.save(make_record("20260105-000000-000-x"))
    assert "unreadable" not in quick("list", "results", "--limit", "1").stdout


@pytest.mark.parametrize("arguments", ["list", "list tasks", "data list", "show last"])
def test_tables_fit_a_narrow_terminal(quick, arguments):
    store = Store(quick.folder / "results")
    store.prepare()
    store.save(make_record())
    printed = quick(*arguments.split(), COLUMNS="66").stdout
    tables = printed.partition("\nRun\n")[0].splitlines()[arguments.startswith("show") :]
    assert max(map(len, tables)) <= 66


@pytest.mark.slow
def test_doctor_names_a_framework_that_does_not_work_and_goes_on(harness):
    done = harness("doctor")
    assert "faulty" in done.stdout
    assert "works" in done.stdout
    assert "unloadable" in done.stdout
    assert "this plugin is broken" in done.stdout.replace("\n", " ")
    assert done.returncode == 1


def test_a_task_is_listed_with_its_layers(harness):
    done = harness("list", "lm", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    layers, options = done.stdout.split("\n\n")
    assert layers.startswith("Network model of lm: inputs (64,), 809,856 parameters")
    (attention,) = (
        line for line in layers.splitlines() if line.startswith("residual_1/body/self_attention_1")
    )
    assert "heads=4, causal=True" in attention
    assert "66,048" in attention
    assert "qkv_kernel (128, 384)" in attention
    assert options.startswith("Options of lm (--set OPTION=VALUE)")
    refused = harness("list", "nonsense")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "'nonsense' is not one of 'backends', 'tasks', 'datasets', 'results'" in refused.stderr
