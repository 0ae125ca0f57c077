"""Temporary folders are gone when their process ends, also if it is killed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from harness.machine.guarded_folder import GuardedFolder

_KILLED = """
import os, signal
from harness.machine.guarded_folder import GuardedFolder
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
