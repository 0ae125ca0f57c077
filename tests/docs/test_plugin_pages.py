"""The plugins in the how-to guides are complete: installed outside the source tree, they run."""

import os
import re
import subprocess
import sys

import pytest
from support.pages import blocks, module

PAGE_OF = {
    "my_numpy": "docs/how-to/add-a-backend.md",
    "my_task": "docs/how-to/add-a-task.md",
    "my_data": "docs/how-to/add-a-data-set.md",
}
COMMAND_PAGE = "docs/how-to/add-a-command.md"


def _module(folder, name, *, installed_as=""):
    """Write the module of this name; install it by an entry point where that is given."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(module(PAGE_OF[name], name))
    if installed_as:
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(installed_as)
    return folder / f"{name}.py"


@pytest.fixture
def installed(harness, tmp_path):
    folder = tmp_path / "plugins"
    _module(folder, "my_numpy", installed_as="[harness.backends]\nmy-numpy = my_numpy\n")
    _module(folder, "my_task", installed_as="[harness.tasks]\nlogistic = my_task\n")
    _module(folder, "my_data", installed_as="[harness.datasets]\nbars = my_data\n")
    harness.environment["PYTHONPATH"] = f"{folder}{os.pathsep}{harness.environment['PYTHONPATH']}"
    return harness


@pytest.mark.slow
def test_installed_they_are_listed_and_run_together(installed):
    listed = installed("list").stdout + installed("data", "list").stdout
    assert all(name in listed for name in ("my-numpy", "logistic", "bars"))
    assert "bars: ok, sha256 " in installed("data", "verify", "bars").stdout
    run = ("run", "--backend", "my-numpy,torch", "--task", "logistic", "--precision", "float64")
    done = installed(*run, "--epochs", "3")
    assert done.returncode == 0, done.stderr
    ours, torchs = installed.records()
    assert ours["test_at_last"]["accuracy"] > 0.5
    assert ours["test_at_last"]["loss"] == pytest.approx(torchs["test_at_last"]["loss"], rel=1e-9)


def test_files_that_are_not_installed_run_by_plugin(harness, tmp_path):
    files = [_module(tmp_path / "loose", name) for name in PAGE_OF]
    chosen = [word for file in files for word in ("--plugin", str(file))]
    done = harness("run", *chosen, "--backend", "my-numpy", "--task", "logistic", "--dataset", "bars")
    assert done.returncode == 0, done.stderr
    assert "has no reference" in done.stdout
    (record,) = harness.records()
    assert record["dataset"]["samples"] == {"train": 1800, "validation": 200, "test": 500}
    assert record["test_at_last"]["accuracy"] > 0.8
    assert "bars: ok, sha256 " in harness("data", "verify", "bars", *chosen[-2:]).stdout
    unknown = harness("data", "verify", "bars")
    assert (unknown.returncode, "bars" in unknown.stderr) == (2, True)


def test_a_network_that_does_not_fit_is_refused_in_one_line(harness, tmp_path):
    task = _module(tmp_path / "loose", "my_task")
    task.write_text(task.read_text().replace("(Flatten(), Dense(10))", "(Dense(10),)"))
    run = ("run", "--plugin", str(task), "--backend", "torch", "--task", "logistic")
    done = harness(*run)
    assert done.returncode == 1
    assert all(words in done.stderr for words in ("(1437,)", "(32, 32, 10)", "one output axis, (10,)"))
    task.write_text(task.read_text().replace("(Dense(10),)", "(Conv2D(10, 33), Flatten(), Dense(10))"))
    task.write_text(task.read_text().replace("import Dense,", "import Conv2D, Dense,"))
    done = harness(*run)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert re.search(r"task logistic .* conv2d_1 .*\(0, 0, 10\)", done.stderr)


def test_the_backend_is_certified_and_conforms(installed, tmp_path):
    done = installed("check", "my-numpy", "--task", "mlp")
    assert done.returncode == 0, done.stdout
    (test,) = [
        block.text
        for block in blocks(PAGE_OF["my_numpy"], "python")
        if block.text.startswith("from harness.testing import backend_tests")
    ]
    (tmp_path / "test_own.py").write_text(test)
    passed = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_own.py"],
        cwd=tmp_path,
        env=installed.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert passed.returncode == 0, passed.stdout


@pytest.mark.long
def test_it_declines_what_it_does_not_support(installed):
    declined = installed("run", "--backend", "my-numpy", "--task", "cnn", "--quiet")
    assert declined.returncode == 2
    assert "only dense layers" in declined.stdout
    checked = installed("check", "my-numpy", "--task", "mlp", "--task", "rnn")
    assert checked.returncode == 1
    assert re.search(r"on rnn .*: only dense layers", checked.stdout)


def test_the_command_of_a_feature_records_and_its_record_is_listed_shown_and_reported(harness, tmp_path):
    for name in ("my_feature", "my_startup"):
        (tmp_path / f"{name}.py").write_text(module(COMMAND_PAGE, name))
    info = tmp_path / "my_feature-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my_feature\nVersion: 1.0\n")
    (entry,) = [block.text for block in blocks(COMMAND_PAGE, "toml")]
    (name, target) = re.search(r"^(\w+) = \"(.*)\"$", entry, re.MULTILINE).groups()
    (info / "entry_points.txt").write_text(f"[harness.features]\n{name} = {target}\n")
    place = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{harness.environment['PYTHONPATH']}"}

    assert "Measure start-up:\n  startup" in harness.ok("--help", **place).stdout
    harness.ok("startup", "json", "csv", "--processes", "2", **place)
    (path,) = (harness.folder / "results" / "startups").glob("*.json")
    assert "json, csv" in harness.ok("list", "results", **place).stdout
    assert re.search(r"json +0\.\d\d +2", harness.ok("show", path.stem, **place).stdout)
    harness.ok("report", "last", "--to", "startup.html", "--to", "startup.md", **place)
    assert "Each dot is one process." in (harness.folder / "startup.html").read_text()
    assert "| csv |" in (harness.folder / "startup.md").read_text()

    failed = harness("startup", "nothing_of_this_name", **place)
    assert (failed.returncode, "cannot be imported" in failed.stdout) == (1, True)
    assert "failed" in harness.ok("list", "results", **place).stdout
    other = harness("compare", path.stem, **place)
    assert (other.returncode, "median (s)" in other.stdout) == (0, True)
