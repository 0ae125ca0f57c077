"""Drafts and temporary folders: removed once their process has ended, and never while it lives."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.core.machine import ownership
from harness.core.machine.files import replace_file
from harness.core.machine.guarded_folder import GuardedFolder
from harness.core.machine.ownership import (
    abandoned,
    create_file,
    create_folder,
    draft_of,
    new_folder_in,
    remove_abandoned,
    sweep,
)

#: Makes a draft and a folder in a folder, and waits for its standard input to be closed.
OWNER = """
import sys
from pathlib import Path
from harness.core.machine.ownership import *
parent = Path(sys.argv[1])
folder = new_folder_in(parent, "some")
locks = create_folder(folder), create_file(draft_of(parent / "report.html"))
(folder / "in").mkdir()
(folder / "in" / "file").touch()
print("ready", flush=True)
sys.stdin.read()
"""


def owner(folder, *before):
    command = [*before, sys.executable, "-c", OWNER, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if process.stdout.readline() != b"ready\n":
        process.kill()
        process.wait()
        pytest.skip(f"{before} is not allowed here")
    return process


@pytest.mark.parametrize("before", [(), ("unshare", "--fork", "--kill-child", "--pid", "--mount-proc")])
def test_what_a_killed_process_leaves_is_removed_and_what_a_living_one_has_is_not(tmp_path, before):
    """Also one in a namespace of process numbers of its own, as in a container."""
    if before and shutil.which(before[0]) is None:
        pytest.skip("needs unshare")
    with owner(tmp_path, *before) as process:
        (tmp_path / ".notes.tmp").touch()
        (tmp_path / "dl-harness-notes").mkdir()
        sweep(tmp_path)
        assert len(list(tmp_path.iterdir())) == 4
        assert not list(abandoned([tmp_path, tmp_path / "nowhere"]))
        process.send_signal(signal.SIGKILL)
    end = time.monotonic() + 30  # a namespace ends after the process that made it
    while len(found := list(abandoned([tmp_path]))) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    assert [path.is_dir() for path in found] == [False, True]
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".notes.tmp", "dl-harness-notes"]


def test_the_next_temporary_folder_takes_the_place_of_what_is_left(tmp_path):
    os.close(create_folder(new_folder_in(tmp_path, "some")))
    with GuardedFolder("other", tmp_path) as folder:
        made = folder.path
        assert list(tmp_path.iterdir()) == [made]


def test_what_has_an_owner_again_is_not_removed(tmp_path):
    path = new_folder_in(tmp_path, "some")
    path.mkdir()
    assert list(abandoned([tmp_path])) == [path]
    path.rmdir()
    lock = create_folder(path)
    remove_abandoned(path)
    assert path.is_dir()
    os.close(lock)
    remove_abandoned(path)
    remove_abandoned(path)  # gone already
    assert not path.exists()


@pytest.mark.parametrize("create", [create_file, create_folder])
def test_a_sweep_between_creation_and_lock_costs_nothing(tmp_path, create, monkeypatch):
    lock = ownership.fcntl.flock
    sweeps = []

    def swept_first(descriptor, operation):
        if not sweeps:
            sweeps.append(None)
            sweep(tmp_path)
        lock(descriptor, operation)

    monkeypatch.setattr(ownership.fcntl, "flock", swept_first)
    path = draft_of(tmp_path / "a") if create is create_file else new_folder_in(tmp_path, "some")
    os.close(create(path))
    assert path.exists()


def test_without_locks_nothing_counts_as_abandoned(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(ownership.fcntl, "flock", none)
    replace_file(tmp_path / "file", b"content")
    os.close(create_folder(path := new_folder_in(tmp_path, "some")))
    sweep(tmp_path)
    assert path.is_dir()


def test_links_pipes_and_what_they_lead_to_stay(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis").touch()
    (tmp_path / "report").touch()
    new_folder_in(tmp_path, "some").symlink_to(tmp_path / "mine")
    draft_of(tmp_path / "a").symlink_to(tmp_path / "report")
    os.mkfifo(draft_of(tmp_path / "a"))
    before = sorted(tmp_path.rglob("*"))
    sweep(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_planted_link_is_not_followed(tmp_path, monkeypatch):
    """Neither can its name be guessed: here it is known."""
    monkeypatch.setattr(ownership.secrets, "token_hex", lambda _: "0" * 16)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for planted in (victim, tmp_path / "nothing"):
        draft = draft_of(tmp_path / "report.html")
        draft.symlink_to(planted)
        with pytest.raises(FileExistsError):
            replace_file(tmp_path / "report.html", b"page")
        draft.unlink()
    assert [path.name for path in tmp_path.iterdir()] == ["victim"]
    assert victim.read_text() == "mine"


def test_names_of_drafts_differ_and_fit(tmp_path):
    drafts = {draft_of(tmp_path / ("\N{GRINNING FACE}" * 63)) for _ in range(2)}
    assert len(drafts) == 2
    assert all(len(os.fsencode(path.name)) <= 255 for path in drafts)
    assert {path.parent for path in drafts} == {Path(tmp_path)}
