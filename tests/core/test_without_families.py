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
#: Families on which no other stands.
ALONE = ("weights", "port", "tracking", "cluster", "sharing")
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
    "run", "list", "show", "report", "data", "check", "reference", "new", "clean", "doctor"
}  # fmt: skip
TRAIN = ("run", "--backend", "torch", "--task", "mlp", "--max-steps", "30", "--quiet")
REFUSED = (
    ("run", "--backend", "torch", "--task", "mlp", "--executor", "ray"),
    ("compare",),
)


@pytest.fixture
def copy(tmp_path, harness):
    """A copy of the package, and a function that runs Python in it."""
    folder = tmp_path / "copy"
    for part in ("harness", "backends", "tasks"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    path = os.pathsep.join(map(str, (folder, folder / "backends", folder / "tasks")))

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

    return folder / "harness", python


def assert_importable(package, python):
    """Check that every module is imported, and that the commands of the core are listed; return all."""
    assert python("-c", IMPORTS).stdout.strip() == str(package / "__init__.py")
    text = python("-m", "harness", "--help").stdout
    listed = {line.split()[0] for line in text.splitlines() if line.startswith("  ") and line.strip()}
    assert listed >= CORE_COMMANDS
    return listed


def test_each_family_on_which_no_other_stands_can_be_deleted(copy, tmp_path):
    package, python = copy
    for family in ALONE:
        shutil.move(package / family, tmp_path / family)
        assert_importable(package, python)
        shutil.move(tmp_path / family, package / family)


def test_without_families_the_core_works_and_refuses_the_rest_in_one_line(copy, harness):
    package, python = copy
    for family in FAMILIES:
        shutil.rmtree(package / family)
    listed = assert_importable(package, python)
    assert not listed & {"duel", "gate", "compare", "study", "port", "score", "export"}

    def command(*arguments, **options):
        return python("-m", "harness", *arguments, **options)

    done = command(*TRAIN)
    (path,) = (harness.folder / "results" / "runs").glob("*.json")
    record = json.loads(path.read_text())
    assert (record["status"], record["verification"]["outcome"]) == ("ok", "verified")
    assert record["certificate"]["certified"]
    assert f"Record: results/runs/{path.name}" in done.stdout
    command("report", path.stem, "--to", "run.md")
    assert (harness.folder / "run.md").stat().st_size > 1000
    assert "mlp" in command("list", "results").stdout
    assert "1 run" not in command("show", "last").stderr
    for refused in REFUSED:
        done = command(*refused, code=2)
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
