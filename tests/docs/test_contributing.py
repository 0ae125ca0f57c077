"""CONTRIBUTING names every benchmark, each of which starts, and its map lists every folder."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
SCRIPTS = [
    path.name
    for path in sorted((ROOT / "tests" / "benchmarks").glob("*.py"))
    if "__main__" in path.read_text()
]


#: Prints the help of each of these scripts, in one process.
HELP = """
import contextlib, runpy, sys
for path in sys.argv[1:]:
    sys.path[0], sys.argv = path.rpartition("/")[0], [path, "--help"]
    with contextlib.suppress(SystemExit):
        runpy.run_path(path, run_name="__main__")
"""


def python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )


def test_every_benchmark_is_named():
    named = re.findall(r"^python tests/benchmarks/(\w+\.py)", TEXT, re.MULTILINE)
    assert sorted(named) == SCRIPTS


@pytest.mark.slow
def test_each_starts_and_explains_itself():
    done = python("-c", HELP, *(f"tests/benchmarks/{script}" for script in SCRIPTS))
    assert (done.returncode, done.stderr) == (0, "")
    for script in SCRIPTS:
        assert f"usage: {script}" in done.stdout


@pytest.mark.long
def test_commands_over_many_records_are_timed_without_a_second_tree():
    done = python("tests/benchmarks/commands.py", "--turns", "1", "20")
    assert done.returncode == 0, done.stderr
    assert re.search(r"20 records: compare .* s .* MiB", done.stdout)


def folders_of(root):
    """The folders with Python files, by their paths from the root."""
    return {path.parent.relative_to(root).as_posix() for path in root.rglob("*.py")} - {"."}


def test_the_map_lists_every_folder_of_the_house():
    (tree,) = re.findall(r"```text\n(harness/\n.*?)```", TEXT, re.DOTALL)
    folders = {path.parent.name for path in (ROOT / "harness").glob("*/__init__.py")}
    folders |= {path.parent.name for path in (ROOT / "harness" / "core").glob("*/__init__.py")}
    assert {folder for folder in folders if f"{folder}/" not in tree} == set()


def test_tests_mirror_the_house():
    house, tests = folders_of(ROOT / "harness"), folders_of(ROOT / "tests")
    apart = ("all_families", "backends", "benchmarks", "contract", "docs", "support", "tasks", "port")
    mirrored = {folder for folder in tests if folder.partition("/")[0] not in apart}
    assert mirrored <= house
