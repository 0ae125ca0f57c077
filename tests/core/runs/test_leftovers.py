"""What killed processes leave in a results folder is found, and nothing else."""

import os
import subprocess
import sys

import msgspec
import pytest
from support.records import make_record, make_unfinished_record, save_runs

from harness.core.machine.ownership import create_file, draft_of, new_folder_in
from harness.core.machine.processes import this_process
from harness.core.runs.claims import Claims
from harness.core.runs.leftovers import leftovers
from harness.core.runs.store import RUNS

ENDED = ["ok", "diverged", "failed", "timeout", "interrupted", "unsupported"]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    """Keep out what other processes are killed with."""
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))


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


def test_drafts_and_folders_of_ended_processes_are_left(store, tmp_path):
    (store.folder / "lost.json").unlink()
    drafts = [draft_of(store.folder / "one.json") for _ in range(2)]
    folders = [new_folder_in(tmp_path / "temporary", "some"), new_folder_in(tmp_path / "cache" / "a", "some")]
    for folder in folders:
        folder.mkdir(parents=True)
    locks = [create_file(draft) for draft in drafts]
    os.close(locks.pop())
    left = list(leftovers(store.folder.parent))
    kinds = {drafts[1]: "unfinished file", **dict.fromkeys(folders, "temporary folder")}
    assert {each.path: each.kind for each in left} == kinds
    for each in left:
        each.remove()
    assert found(store) == []
    os.close(*locks)


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
