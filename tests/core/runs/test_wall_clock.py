"""Clocks of a run: steps of the wall clock change nothing."""

import ast
import datetime
import re
import time
from pathlib import Path

import pytest

import harness as package

#: They compare with the times of files, which the wall clock sets.
AGES_OF_FILES = {
    "core/machine/leftovers.py",
    "core/runs/claims.py",
}
#: It reads the clock of a process's CPU time.
PROCESSOR_TIME = "core/machine/usage.py"
DIGITS = ("run", "--task", "cnn", "--dataset", "digits", "--epochs", "3", "--quiet", "--no-certify")
#: Sets the clock of every process: each look at it is a day later or earlier than the one before.
JUMPS = """
import datetime, itertools, time

_now, _days = time.time, itertools.cycle([0, 1, -2, 400, -400])
time.time = lambda: _now() + 86400 * next(_days)
time.time_ns = lambda: int(time.time() * 1e9)

class _Datetime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

datetime.datetime = _Datetime
"""


def test_only_ages_of_files_are_taken_from_the_wall_clock():
    root = Path(package.__file__).parent
    looking = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = f"{node.value.id}.{node.attr}"
                place = path.relative_to(root).as_posix()
                if name in {"time.time", "time.time_ns", "time.localtime"}:
                    looking.add(place)
                if name == "time.clock_gettime":
                    assert place == PROCESSOR_TIME
    assert looking == AGES_OF_FILES


@pytest.mark.parametrize(
    "mode", [pytest.param("ok", marks=pytest.mark.long), pytest.param("hang", marks=pytest.mark.slow)]
)
def test_a_clock_that_jumps_changes_no_duration_and_no_limit(harness, tmp_path, mode):
    shim = tmp_path / "shim"
    shim.mkdir()
    (shim / "sitecustomize.py").write_text(JUMPS)
    path = f"{shim}:{harness.environment['PYTHONPATH']}"
    start = time.monotonic()
    limit = "60" if mode == "ok" else "4"
    status = "ok" if mode == "ok" else "timeout"
    words = ("--backend", f"faulty:{mode}", "--timeout", limit)
    record, _ = harness.recorded(status, *DIGITS, *words, PYTHONPATH=path)
    took = time.monotonic() - start
    assert re.fullmatch(rf"\d{{8}}-\d{{6}}-\d{{3}}-cnn-faulty-{mode}-s0-[0-9a-f]{{4}}", record["id"])
    assert datetime.datetime.fromisoformat(record["started_at"]).tzinfo is not None
    seconds = [block["seconds"] for block in record["blocks"]]
    seconds += [
        record[name] for name in record if name.endswith("_seconds") and isinstance(record[name], float)
    ]
    assert seconds
    assert min(seconds) >= 0
    assert sum(block["seconds"] for block in record["blocks"]) < took
    assert harness("list", "results").returncode == 0
