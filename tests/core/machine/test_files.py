"""Files: read if they are regular and of a bounded size, written whole or not at all; folders that go."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.core.machine import files
from harness.core.machine.files import read_file, replace_file
from harness.core.machine.guarded_folder import GuardedFolder


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        read_file(tmp_path / "pipe")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full", "/dev/null"])
def test_a_link_to_a_device_is_not_read(device, tmp_path):
    (tmp_path / "link").symlink_to(device)
    with pytest.raises(OSError, match="not a regular file"):
        read_file(tmp_path / "link")


def test_a_large_file_is_refused(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(b"12345")
    assert read_file(path, 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_file(path, 4)
    with path.open("wb") as file:
        file.truncate(2**40)  # a hole
    with pytest.raises(OSError, match="more than 134,217,728 bytes"):
        read_file(path)
    with pytest.raises(OSError, match="more than 1,099,511,627,775 bytes"):
        read_file(path, 2**40 - 1)  # by its size, before it is read


def test_a_name_with_a_nul_character_is_no_name(tmp_path):
    with pytest.raises(OSError, match="NUL"):
        read_file(tmp_path / "a\0b")


def test_a_pipe_and_a_device_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for name in ("pipe", "link"):
        with pytest.raises(OSError, match="not a regular file"):
            replace_file(tmp_path / name, b"whole")
    assert (tmp_path / "pipe").is_fifo()


def test_a_name_of_the_longest_length_is_written(tmp_path):
    for name in ("x" * 255, "é" * 127, "😀" * 63):
        replace_file(tmp_path / name, b"whole")
        assert (tmp_path / name).read_bytes() == b"whole"
    assert len(list(tmp_path.iterdir())) == 3


@contextlib.contextmanager
def full_disk(folder):
    """The folder on a disk of 64 KiB, of which nothing is left to write on."""
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a disk can be mounted by the superuser only")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_keeps_what_was_written(tmp_path):
    with full_disk(tmp_path):
        path = tmp_path / "report.html"
        replace_file(path, b"earlier")
        with pytest.raises(OSError, match="No space left"):
            replace_file(path, bytes(100_000))
        assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
        assert path.read_bytes() == b"earlier"


FILLED = """
import sys
from pathlib import Path
from harness.core.machine.files import replace_file

replace_file(Path(sys.argv[1]), bytes(100_000))
"""


LIMITED = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
"""


def test_a_file_that_may_not_grow_keeps_what_was_written(tmp_path):
    """As on a full disk, where none can be mounted."""
    path = tmp_path / "report.html"
    path.write_bytes(b"earlier")
    command = [sys.executable, "-c", LIMITED + FILLED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "File too large" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert path.read_bytes() == b"earlier"


def test_readers_see_the_old_file_or_the_new_one(tmp_path):
    path = tmp_path / "record.json"
    contents = [letter * 200_000 for letter in (b"a", b"b")]
    replace_file(path, contents[0])
    end = threading.Event()

    def write():
        while not end.is_set():
            for content in contents:
                replace_file(path, content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert {read_file(path) for _ in range(200)} <= set(contents)
    finally:
        end.set()
        writer.join()
    assert files.is_file(str(path))


# Temporary folders are gone when their process ends, also if it is killed.


_KILLED = """
import os, signal
from harness.core.machine.guarded_folder import GuardedFolder
folder = GuardedFolder("killed")
(folder.path / "file").touch()
print(folder.path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_folder_is_created_when_it_is_needed_and_deleted_when_closed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with GuardedFolder("some") as folder:
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
    with GuardedFolder("some") as folder:
        assert folder.path.is_dir()
        with pytest.raises(subprocess.TimeoutExpired):  # it waits for the end of this process
            folder._guard.wait(0.5)
        assert folder.path.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]
