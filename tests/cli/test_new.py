"""The skeletons of ``harness new`` run before anything is changed, and nothing is overwritten."""

import ast
import subprocess
import sys
import tomllib

import pytest
from support.pages import module

from harness.cli.new import skeleton

KINDS = ("backend", "task", "dataset")
WORDS = {"backend": "declines every task", "task": "logistic regression", "dataset": "a bright bar"}


def written(harness, kind, name="own-plugin"):
    done = harness("new", kind, name)
    assert done.returncode == 0, done.stderr
    return harness.folder / f"harness-{name}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_of_a_skeleton_can_be_read(kind):
    files = skeleton(kind, "my.own-plugin")
    assert list(files) == [
        "pyproject.toml",
        "README.md",
        "harness_my_own_plugin.py",
        "tests/test_harness_my_own_plugin.py",
    ]
    project = tomllib.loads(files["pyproject.toml"])
    assert project["project"]["name"] == "harness-my.own-plugin"
    assert project["project"]["entry-points"] == {
        f"harness.{kind}s": {"my.own-plugin": "harness_my_own_plugin"}
    }
    for path, text in files.items():
        assert "$" not in text
        if path.endswith(".py"):
            ast.parse(text)
            assert max(map(len, text.splitlines())) <= 110
    assert WORDS[kind] in files["harness_my_own_plugin.py"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_code_of_a_skeleton_passes_the_linter(harness, kind):
    pytest.importorskip("ruff")
    folder = written(harness, kind)
    for arguments in (("check", "--select", "E,F,W,I,N,UP,B,SIM"), ("format", "--check")):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *arguments, "--config", "pyproject.toml", "--no-cache", "."],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_of_a_skeleton_pass(harness, kind):
    folder = written(harness, kind)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env=harness.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_backend_declines_every_case_with_its_reason(harness):
    file = written(harness, "backend") / "harness_own_plugin.py"
    done = harness("check", "own-plugin", "--task", "mlp", "--plugin", str(file))
    assert done.returncode == 1, done.stderr
    assert "own-plugin does not implement Flatten layers" in done.stdout
    assert "No deviation was found, but not everything could be checked." in done.stdout


@pytest.mark.slow
def test_the_task_trains_on_the_data_set(harness):
    task = written(harness, "task", "own-task") / "harness_own_task.py"
    bars = written(harness, "dataset", "own-data") / "harness_own_data.py"
    task.write_text(task.read_text().replace('("digits",)', '("digits", "own-data")'))
    for dataset in ("digits", "own-data"):
        chosen = ["--task", "own-task", "--dataset", dataset, "--max-steps", "3"]
        chosen += ["--plugin", str(task)] + ["--plugin", str(bars)] * (dataset == "own-data")
        done = harness("run", "--backend", "torch", *chosen)
        assert done.returncode == 0, done.stderr
    assert [record["status"] for record in harness.records()] == ["ok", "ok"]


def test_the_data_set_is_verified(harness):
    file = written(harness, "dataset") / "harness_own_plugin.py"
    assert "own-plugin: ok, sha256 " in harness("data", "verify", "own-plugin", "--plugin", str(file)).stdout


def test_the_backend_of_the_guide_fits_into_the_skeleton(harness):
    """An author's path: the skeleton, the guide's NumPy example in it, a certificate."""
    file = written(harness, "backend", "my-numpy") / "harness_my_numpy.py"
    file.write_text(module("docs/how-to/add-a-backend.md", "my_numpy"))
    done = harness("check", "my-numpy", "--task", "mlp", "--plugin", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Everything agrees with the reference." in done.stdout


def test_no_file_is_overwritten(harness):
    folder = written(harness, "backend")
    changed = folder / "README.md"
    changed.write_text("mine")
    (folder / "pyproject.toml").unlink()
    again = harness("new", "backend", "own-plugin")
    assert again.returncode == 2
    assert "README.md" in again.stderr
    assert "exists and is not overwritten; choose another --to DIR." in again.stderr
    assert changed.read_text() == "mine"
    assert not (folder / "pyproject.toml").exists()
    elsewhere = harness("new", "backend", "own-plugin", "--to", "some/where")
    assert elsewhere.returncode == 0
    assert (harness.folder / "some" / "where" / "harness_own_plugin.py").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("torch", "a backend named 'torch' is already installed; choose another name."),
        ("a b", "'a b' is not a valid name of a backend; use lower-case letters and digits, with single"),
        ("../up", "'../up' is not a valid name of a backend"),
        ("Own", "'Own' is not a valid name"),
        ("own-", "'own-' is not a valid name"),
        ("torch:eager", "'torch:eager' is not a valid name"),
        ("own\n", "is not a valid name"),
    ],
)
def test_an_invalid_or_taken_name_is_refused(harness, name, reason):
    done = harness("new", "backend", name)
    assert done.returncode == 2
    assert reason in done.stderr
    assert list(harness.folder.iterdir()) == []
