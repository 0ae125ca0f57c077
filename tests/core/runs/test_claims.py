"""Claims on runs: one process holds each, and that of a process that is gone is taken over once."""

import os
import subprocess
import sys
import time

import msgspec
import pytest

from harness.core.machine.processes import ProcessMark, this_process
from harness.core.runs.claims import SILENT_SECONDS, Claim, Claims, claim_paths, is_stale

KEY = "a" * 64
ALIVE = this_process()
ELSEWHERE = ProcessMark(1, "1", "another host boot 1 pid:[1]")
#: Takes claims whose keys it reads, prints those that it got, and keeps them until standard input ends.
TAKER = """
import sys
from pathlib import Path
from harness.core.runs.claims import Claims
claims = Claims(Path(sys.argv[1]))
print("ready", flush=True)
keys = sys.stdin.readline().split()
print(*[key for key in keys if claims.take(key, "a run")], flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def gone():
    """A process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = msgspec.structs.replace(ALIVE, pid=child.pid, start="1")
    child.communicate()
    return started


def left_by(process, results, key=KEY, seconds_ago=0.0):
    """A claim that a process has left."""
    path = results / "claims" / f"{key[:32]}.claim"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.encode(Claim(process, "a run", "0")) if process else b"")
    os.utime(path, (time.time() - seconds_ago,) * 2)
    return path


def test_a_claim_is_held_until_it_is_released(tmp_path):
    with Claims(tmp_path) as ours, Claims(tmp_path) as others:
        assert ours.take(KEY, "a run")
        assert not others.take(KEY, "a run")
        assert not ours.take(KEY, "a run")
        ours.release(KEY)
        assert others.take(KEY, "a run")
    assert claim_paths(tmp_path) == []


@pytest.mark.parametrize(
    ("process", "seconds_ago", "free"),
    [
        (ALIVE, 10 * SILENT_SECONDS, False),
        (msgspec.structs.replace(ALIVE, start="another"), 0, True),
        (ELSEWHERE, 0, False),
        (ELSEWHERE, 2 * SILENT_SECONDS, True),
        (None, 0, False),
        (None, 60, True),
    ],
)
def test_a_claim_is_taken_over_if_its_process_is_gone(tmp_path, process, seconds_ago, free):
    path = left_by(process, tmp_path, seconds_ago=seconds_ago)
    assert is_stale(path) == free
    with Claims(tmp_path) as claims:
        assert claims.take(KEY, "a run") == free


def test_a_claim_that_was_taken_over_is_not_released_by_its_first_owner(tmp_path):
    ours = Claims(tmp_path)
    assert ours.take(KEY, "a run")
    path = left_by(ELSEWHERE, tmp_path)
    ours.close()
    assert path.exists()


def test_of_eight_processes_one_takes_over_each_claim(tmp_path, gone):
    keys = [f"{number:032x}" for number in range(40)]
    for key in keys[::2]:  # the others are free
        left_by(gone, tmp_path, key)
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", TAKER, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for taker in takers:
        taker.stdout.readline()
    for taker in takers:
        taker.stdin.write(" ".join(keys) + "\n")
        taker.stdin.flush()
    taken = [key for taker in takers for key in taker.stdout.readline().split()]
    for taker in takers:
        taker.communicate()
    assert sorted(taken) == sorted(keys)
