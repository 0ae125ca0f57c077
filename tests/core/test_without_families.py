"""Families can be deleted: what remains imports, lists its commands, trains, shows its record, is tested."""

import ast
import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAMILIES = ("timing", "learning", "weights", "port", "tracking", "cluster", "sharing")
#: Families on which no other stands, and all of them together.
REMOVED = [("weights",), ("port",), ("tracking",), ("cluster",), ("sharing",), FAMILIES]
#: Imports every module but programs, and the public kit, whose documented parts need families.
IMPORTS = """
import importlib, pkgutil, sys, harness
not_imported = ("__main__", "pytest_plugin", "harness.testing", "steps.program")
for module in pkgutil.walk_packages(harness.__path__, "harness."):
    if not any(part in module.name for part in not_imported):
        importlib.import_module(module.name)
print(harness.__file__)
"""
CORE_COMMANDS = {
    "run", "list", "show", "report", "data", "check", "reference", "ledger", "new", "clean", "doctor"
}  # fmt: skip
TRAIN = ("run", "--backend", "torch", "--task", "mlp", "--max-steps", "30", "--quiet")


@pytest.fixture(params=REMOVED, ids=lambda removed: removed[0] if len(removed) == 1 else "all")
def remaining(request, tmp_path, harness):
    """A copy of the package without these families, as a function that runs Python in it."""
    copy = tmp_path / "copy"
    for folder in ("harness", "backends", "tasks"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for family in request.param:
        shutil.rmtree(copy / "harness" / family, ignore_errors=True)
    path = os.pathsep.join(map(str, (copy, copy / "backends", copy / "tasks")))

    def python(*arguments, code=0):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=harness.folder,
            env=harness.environment | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    python.removed = request.param
    assert python("-c", IMPORTS).stdout.strip() == str(copy / "harness" / "__init__.py")
    return python


def command(remaining, *arguments, **options):
    return remaining("-m", "harness", *arguments, **options)


def test_what_remains_works_and_refuses_the_rest_in_one_line(remaining, harness):
    text = command(remaining, "--help").stdout
    listed = {line.split()[0] for line in text.splitlines() if line.startswith("  ") and line.strip()}
    assert listed >= CORE_COMMANDS
    if remaining.removed == FAMILIES:
        assert not listed & {"duel", "gate", "compare", "study", "port", "score", "export"}

    done = command(remaining, *TRAIN, *(() if remaining.removed == FAMILIES else ("--no-certify",)))
    (path,) = (harness.folder / "results" / "runs").glob("*.json")
    record = json.loads(path.read_text())
    assert (record["status"], record["verification"]["outcome"]) == ("ok", "verified")
    assert f"Record: results/runs/{path.name}" in done.stdout
    command(remaining, "report", path.stem, "--to", "run.md")
    assert (harness.folder / "run.md").stat().st_size > 1000
    if remaining.removed == FAMILIES:
        assert record["certificate"]["certified"]
        assert "mlp" in command(remaining, "list", "results").stdout
        assert "1 run" not in command(remaining, "show", "last").stderr

    # The copy is made and compiled once, so refusals are tried in it as well.
    refusals = {
        "cluster": ("run", "--backend", "torch", "--task", "mlp", "--executor", "ray"),
        "tracking": ("run", "--backend", "torch", "--task", "mlp", "--track", "mlflow"),
        "timing": ("run", "--backend", "torch:best", "--task", "mlp"),
        "learning": ("compare",),
    }
    for family in remaining.removed:
        if family in refusals:
            done = command(remaining, *refusals[family], code=2)
            assert done.stderr.startswith("harness: ")
            assert done.stderr.count("\n") == 1


@functools.cache
def imports_of(path):
    """Return the modules and names that a file imports, also lazily."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
        elif isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
    return names


def families_of(path):
    """Return the families that a file of tests imports, itself or through ``tests/support``."""
    names, paths = set(), [path]
    while paths:
        new = imports_of(paths.pop()) - names
        names |= new
        places = [ROOT / "tests" / name.replace(".", "/") for name in new if name.startswith("support.")]
        files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
        paths += filter(Path.is_file, files)
    parts = (name.split(".") for name in names if name.startswith("harness."))
    return {second for _, second, *_ in parts} & set(FAMILIES)


def test_tests_of_the_contract_and_the_core_import_no_family():
    tests = ROOT / "tests"
    paths = [tests / "conftest.py", *(tests / "contract").rglob("*.py"), *(tests / "core").rglob("*.py")]
    assert {path.relative_to(tests).as_posix(): found for path in paths if (found := families_of(path))} == {}
