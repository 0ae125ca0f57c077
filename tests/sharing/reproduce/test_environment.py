"""``harness reproduce --environment``: what pip is asked for, and the command that runs there."""

import contextlib
import json
import subprocess
from pathlib import Path

import pytest
from support.records import make_record, save_runs

from harness.errors import UsageError
from harness.sharing.reproduce import environment
from harness.sharing.reproduce.environment import requirements_of
from harness.timing.environments.installation import Installed

VERSIONS = {"dl-harness": "0.1.0", "numpy": "2.4.6", "torch": "2.13.0+cpu"}


def test_pip_installs_the_public_versions_of_all_records_but_no_harness():
    records = [make_record(distributions=VERSIONS), make_record(distributions={"jax": "0.10.2"})]
    assert requirements_of(records) == ["jax==0.10.2", "numpy==2.4.6", "torch==2.13.0"]


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([VERSIONS, {"numpy": "2.4.5"}], "numpy 2.4.6 and 2.4.5; repeat those of one environment at a time"),
        ([{}], "the records name no versions"),
        ([{"x @ file:///x": "1.0"}], "no distribution and version: .*x @ file"),
        ([{"--index-url": "1.0"}], "no distribution and version: .*--index-url"),
        ([{"numpy": "1.0 @ file:///x"}], "no distribution and version: .*1.0 @ file"),
    ],
)
def test_two_versions_none_and_what_is_no_version_are_refused(others, message):
    with pytest.raises(UsageError, match=message):
        requirements_of(make_record(distributions=each) for each in others)


def test_the_records_are_repeated_by_the_command_of_the_environment(quick, monkeypatch):
    monkeypatch.chdir(quick.folder)
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    record = make_record()
    save_runs(quick.folder / "results", record)
    asked, called = [], []

    @contextlib.contextmanager
    def made(requirements, package, **_others):
        asked.append(requirements)
        yield Installed(Path("ENV/bin/python"))

    def run(command, *, env, **_others):
        called.append((command, env))
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr(environment, "environment_of", made)
    monkeypatch.setattr(environment, "own_wheel", contextlib.nullcontext)
    monkeypatch.setattr(environment.subprocess, "run", run)
    done = quick("reproduce", "results", "--to", "new", "--environment", "--jobs", "2", "--quiet")
    assert done.returncode == 3, done.stderr
    assert asked == [requirements_of([record])]  # the versions that saving has found
    ((command, variables),) = called
    new, stored = (quick.folder / name for name in ("new", f"results/runs/{record.id}.json"))
    assert command[:5] == ["ENV/bin/python", "-P", "-m", "harness", "reproduce"]
    assert command[5:] == [
        "--to", str(new), "--format", "table", "--jobs", "2", "--quiet", "--", str(stored),
    ]  # fmt: skip
    assert "PYTHONPATH" not in variables


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_run_is_identical_in_an_environment_of_its_versions(harness):
    pytest.importorskip("torch")
    short = ("--epochs", "1", "--max-steps", "5", "--threads", "1", "--no-certify")
    harness.ok("run", "--backend", "torch", "--task", "mlp", *short)
    # pip needs the network that these variables close.
    open_network = {"http_proxy": "", "https_proxy": ""}
    words = ("reproduce", "results", "--to", "new", "--environment", "--format", "json")
    done = harness.ok(*words, timeout=1000, **open_network)
    (found,) = json.loads(done.stdout)["records"]
    assert found["agreement"]["verdict"] == "identical"
