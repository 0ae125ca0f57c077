"""What CONTRIBUTING says: its benchmarks start as it writes them, and its map lists every room."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.findall(
    r"^python (tests/benchmarks/\w+\.py)", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE
)


def run(*command):
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("script", NAMED)
def test_each_starts(script):
    done = run(script, "--help")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_commands_over_many_records_are_timed_without_a_second_tree():
    done = run("tests/benchmarks/reports.py", "20")
    assert done.returncode == 0, done.stderr
    assert re.search(r"20 records: compare .* s .* MiB", done.stdout)


def test_the_map_lists_every_room():
    table = (ROOT / "CONTRIBUTING.md").read_text()
    rooms = {path.parent.name for path in (ROOT / "harness").glob("*/__init__.py")}
    assert {room for room in rooms if f"`{room}`" not in table} == set()
