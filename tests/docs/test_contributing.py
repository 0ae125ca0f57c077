"""What CONTRIBUTING says: it names every benchmark, each of which starts, and its map lists every room."""

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


def test_the_map_lists_every_room():
    rooms = {path.parent.name for path in (ROOT / "harness").glob("*/__init__.py")}
    assert {room for room in rooms if f"`{room}`" not in TEXT} == set()


def test_tests_mirror_the_rooms_and_the_plugins():
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")} - {"benchmarks", "docs"}
    rooms = {path.parent.name for path in (ROOT / "harness").glob("*/__init__.py")}
    assert folders - rooms == {"backends", "tasks"}
