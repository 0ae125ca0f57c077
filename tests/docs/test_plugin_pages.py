"""The plugins in the how-to guides are complete: installed outside the source tree, they run."""

import os
import subprocess
import sys

import pytest
from support.pages import blocks, module

PAGE_OF = {
    "my_numpy": "docs/how-to/add-a-backend.md",
    "my_task": "docs/how-to/add-a-task.md",
    "my_data": "docs/how-to/add-a-data-set.md",
}


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
    harness.environment["PYTHONPATH"] = f"{folder}{os.pathsep}{harness.environment['PYTHONPATH']}"
    return harness


def test_installed_they_are_listed_and_run_together(installed):
    listed = installed("list").stdout
    assert "my-numpy" in listed
    assert "logistic" in listed
    done = installed(
        "run", "--backend", "my-numpy,torch", "--task", "logistic", "--precision", "float64", "--epochs", "3"
    )
    assert done.returncode == 0, done.stderr
    ours, torchs = installed.records()
    assert ours["test_at_last"]["accuracy"] > 0.5
    assert ours["test_at_last"]["loss"] == pytest.approx(torchs["test_at_last"]["loss"], rel=1e-9)


def test_files_that_are_not_installed_run_by_plugin(harness, tmp_path):
    backend = _module(tmp_path / "loose", "my_numpy")
    task = _module(tmp_path / "loose", "my_task")
    done = harness(
        "run", "--plugin", str(backend), "--plugin", str(task), "--backend", "my-numpy", "--task", "logistic"
    )
    assert done.returncode == 0, done.stderr
    assert harness.records()[0]["status"] == "ok"
    assert "has no reference" in done.stdout


def test_the_data_set_is_trained_on(harness, tmp_path):
    files = [_module(tmp_path / "loose", name) for name in ("my_task", "my_data")]
    chosen = [word for file in files for word in ("--plugin", str(file))]
    done = harness(
        "run", *chosen, "--backend", "torch", "--task", "logistic", "--dataset", "bars", "--epochs", "3"
    )
    assert done.returncode == 0, done.stderr
    (record,) = harness.records()
    assert record["dataset"]["samples"] == {"train": 1800, "validation": 200, "test": 500}
    assert record["test_at_last"]["accuracy"] > 0.8


def test_an_installed_data_set_is_listed_and_verified(harness, tmp_path):
    folder = tmp_path / "plugins"
    _module(folder, "my_data", installed_as="[harness.datasets]\nbars = my_data\n")
    harness.environment["PYTHONPATH"] = f"{folder}{os.pathsep}{harness.environment['PYTHONPATH']}"
    assert "bars" in harness("data", "list").stdout
    assert "bars: ok, sha256 " in harness("data", "verify", "bars").stdout


def test_a_data_set_that_is_not_installed_is_verified_by_plugin(harness, tmp_path):
    file = str(_module(tmp_path / "loose", "my_data"))
    assert "bars: ok, sha256 " in harness("data", "verify", "bars", "--plugin", file).stdout
    unknown = harness("data", "verify", "bars")
    assert unknown.returncode == 2
    assert "bars" in unknown.stderr


def test_a_network_that_does_not_fit_is_refused_in_one_line(harness, tmp_path):
    task = _module(tmp_path / "loose", "my_task")
    task.write_text(task.read_text().replace("(Flatten(), Dense(10))", "(Dense(10),)"))
    done = harness("run", "--plugin", str(task), "--backend", "torch", "--task", "logistic")
    assert done.returncode == 1
    assert (
        "data set digits, train has targets of shape (1437,), and the network's output is (32, 32, 10); "
        "expected: a network with one output axis, (10,)"
    ) in done.stderr
    task.write_text(task.read_text().replace("(Dense(10),)", "(Conv2D(10, 33), Flatten(), Dense(10))"))
    task.write_text(task.read_text().replace("import Dense,", "import Conv2D, Dense,"))
    done = harness("run", "--plugin", str(task), "--backend", "torch", "--task", "logistic")
    assert done.returncode == 2
    assert done.stderr == (
        "harness: task logistic cannot be trained: layers of its network model do not fit: the output of "
        "conv2d_1 would have shape (0, 0, 10)\n"
    )


def test_the_backend_is_certified_and_conforms(installed, tmp_path):
    done = installed("check", "my-numpy", "--task", "mlp")
    assert done.returncode == 0, done.stdout
    assert "Everything agrees with the reference." in done.stdout
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


def test_it_declines_what_it_does_not_support(installed):
    declined = installed("run", "--backend", "my-numpy", "--task", "cnn", "--quiet")
    assert declined.returncode == 2
    assert "only dense layers" in declined.stdout
    checked = installed("check", "my-numpy", "--task", "mlp", "--task", "rnn")
    assert checked.returncode == 1
    assert "No deviation was found, but not everything could be checked." in checked.stdout
    assert "on rnn could not be checked completely: only dense layers" in checked.stdout
