"""Temporary folders are gone when their process ends, also if it is killed."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.machine.files import GuardedFolder

_KILLED = """
import os, signal
from harness.machine.files import GuardedFolder
folder = GuardedFolder("killed-")
(folder.path / "file").touch()
print(folder.path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_folder_is_created_when_it_is_needed_and_deleted_when_closed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with contextlib.closing(GuardedFolder("some-")) as folder:
        assert not list(tmp_path.iterdir())
        (folder.path / "file").touch()
        assert list(tmp_path.iterdir()) == [folder.path]
    assert not list(tmp_path.iterdir())


def test_a_folder_of_a_killed_process_is_deleted(tmp_path):
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    path = Path(killed.stdout.strip())
    assert path.parent == tmp_path
    end = time.monotonic() + 30
    while path.exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert not path.exists()


def test_a_folder_stays_where_programs_are_missing(tmp_path, monkeypatch):
    """As in a container with few programs: the guard must not delete it early."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "rm").symlink_to(shutil.which("rm"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with contextlib.closing(GuardedFolder("with spaces ")) as folder:
        assert folder.path.is_dir()
        with pytest.raises(subprocess.TimeoutExpired):  # it waits for the end of this process
            folder._guard.wait(0.5)
        assert folder.path.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]
