"""What killed processes leave in a results folder is found, and nothing else."""

import os
import subprocess
import sys
import time

import msgspec
import pytest
from support.records import make_record, make_unfinished_record, save_runs

from harness.core.machine.processes import this_process
from harness.core.runs.claims import Claims
from harness.core.runs.leftovers import leftovers
from harness.core.runs.store import RUNS

ENDED = ["ok", "diverged", "failed", "timeout", "interrupted", "unsupported"]


@pytest.fixture
def gone():
    """The number of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


@pytest.fixture
def store(tmp_path, gone):
    """Runs that ended, one that runs, and one whose process is gone and that has a picture."""
    store = save_runs(tmp_path, *(make_record(status, status=status) for status in ENDED))
    store.save(msgspec.structs.replace(make_record("going"), status="running", process=this_process()))
    dead = msgspec.structs.replace(this_process(), pid=gone)
    store.save(msgspec.structs.replace(make_unfinished_record("lost", "running"), process=dead))
    store.save_beside(make_record("lost"), b"picture", "-course.png")
    store.save_beside(make_record("ok"), b"picture", ".png")
    return store


def found(store):
    return [(left.kind, left.path.name) for left in leftovers(store.folder.parent)]


def test_a_lost_run_goes_with_its_pictures_and_no_other_record(store):
    (lost,) = leftovers(store.folder.parent)
    assert (lost.kind, lost.path.name) == ("lost run", "lost.json")
    assert lost.size_bytes == lost.path.stat().st_size + len(b"picture")
    lost.remove()
    assert {path.stem for path in store.paths()} == {*ENDED, "going"}
    assert [path.name for path in store.folder.glob("*.png")] == ["ok.png"]
    assert found(store) == []


def test_a_record_that_was_completed_after_it_was_shown_stays(store):
    (lost,) = leftovers(store.folder.parent)
    store.save(make_record("lost"))
    lost.remove()
    assert RUNS.read(lost.path).status == "ok"


@pytest.mark.parametrize(("mine", "seconds_ago", "left"), [(False, 120, 1), (False, 5, 0), (True, 120, 0)])
def test_an_unfinished_file_is_left_if_its_process_is_gone_for_a_while(store, gone, mine, seconds_ago, left):
    (store.folder / "lost.json").unlink()
    path = store.folder / f".one.json.{os.getpid() if mine else gone}.tmp"
    path.write_bytes(b"{")
    os.utime(path, (time.time() - seconds_ago,) * 2)
    assert found(store) == [("unfinished file", path.name)] * left


def test_a_claim_is_left_if_its_process_is_gone(store):
    (store.folder / "lost.json").unlink()
    with Claims(store.folder.parent) as claims:
        assert claims.take("a" * 64, "a run")
        assert found(store) == []
        (claim,) = (store.folder.parent / "claims").glob("*.claim")
        claim.write_bytes(b"")
        os.utime(claim, (0, 0))
        (left,) = leftovers(store.folder.parent)
        left.remove()
        assert found(store) == []
        assert not claim.exists()
