"""What is imported by commands that are to be quick, by the listings of plugins, and by data sets."""

import os

import pytest
from support.command import imported_by
from support.made_gates import mixed_gate, save
from support.records import make_record, save_runs

HEAVY = {"torch", "tensorflow", "keras", "jax", "pandas", "scipy", "sklearn", "altair", "mlflow", "ray"}
#: Commands that may import NumPy and rich.
READING = ("run", "compare", "report", "study")
COMMAND = (
    "import sys\nfrom harness.core.shell.main import main\nsys.argv = ['harness', *{!r}.split()]\nmain()"
)
SOURCES = "from harness_tasks.datasets import SOURCES\n"


@pytest.mark.parametrize(
    "line",
    [
        "--help",
        "run --help",
        "compare --help",
        "report --help",
        "study overfitting --help",
        "list",
        "--version -v",
        f"show {mixed_gate().id}",
    ],
)
def test_quick_commands_import_nothing_heavy(tmp_path, line):
    save(tmp_path, mixed_gate())
    imported = imported_by(COMMAND.format(line), cwd=tmp_path)
    assert "click" in imported
    assert imported & (HEAVY | (set() if line.startswith(READING) else {"numpy"})) == set()
    assert ("rich" in imported) <= line.startswith((*READING, "show"))


@pytest.mark.parametrize("name", ["report.html", "report.md"])
def test_a_page_of_runs_needs_no_pandas(tmp_path, name):
    save_runs(tmp_path / "results", make_record())
    assert "pandas" not in imported_by(COMMAND.format(f"report --to {name}"), cwd=tmp_path)
    assert (tmp_path / name).is_file()


def test_completion_imports_no_framework(tmp_path):
    line = "harness run --backend torch"
    variables = {"_HARNESS_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": "3"}
    imported = imported_by(COMMAND.format(""), cwd=tmp_path, env=os.environ | variables)
    assert "harness.core.shell.main" in imported
    assert imported & HEAVY == set()


PLUGINS_ARE_FOUND = """
from harness.core.plugins import registry
for kind in ("backend", "task", "dataset"):
    registry.names(kind)
"""
PLUGINS_ARE_LOADED = """
from harness.core.plugins import registry
for name in ("torch", "keras"):
    registry.backend(name)
registry.task("cnn")
"""


@pytest.mark.parametrize(
    ("code", "forbidden"),
    [
        (PLUGINS_ARE_FOUND, {"harness_torch", "harness_keras", "harness_jax", "harness_tasks", "numpy"}),
        (PLUGINS_ARE_LOADED, {*HEAVY, "numpy"}),
        (
            "import harness.core.shell.commands.data\n"
            + SOURCES
            + "[each.is_ready() for each in SOURCES.values()]",
            {"numpy", "PIL", "pooch", "sklearn", "requests", "rich"},
        ),
        (f"{SOURCES}SOURCES['sunspots'].load()", {"pandas", "scipy", "patsy"}),
    ],
    ids=["plugins are found", "plugins are loaded", "data sets are listed", "sunspots are loaded"],
)
def test_plugins_and_data_sets_import_no_more_than_they_need(tmp_path, code, forbidden):
    imported = imported_by(code, cwd=tmp_path, env=os.environ | {"HARNESS_DATA_DIR": str(tmp_path)})
    assert "harness" in imported or "harness_tasks" in imported
    assert imported & forbidden == set()
